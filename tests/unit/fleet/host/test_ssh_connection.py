# SPDX-License-Identifier: Apache-2.0
"""The connection that a module runs over, and the key that opened it."""

from __future__ import annotations

from pathlib import Path

from fleet.host.ssh_connection import Connection, accepted_in, ancestors, connection_in_use, parse_connection

CONNECTION = Connection("ops", "10.0.0.9", 50000, "10.0.0.1", 22)
LOG = "Accepted publickey for ops from 10.0.0.9 port 50000 ssh2: ED25519 SHA256:abc+/1\n"


def process(proc: Path, pid: int, parent: int, environment: bytes) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1")
    (proc / str(pid) / "environ").write_bytes(environment)


def test_the_connection_is_read_from_the_environment_of_a_process() -> None:
    environment = b"USER=ops\0SSH_CONNECTION=fe80::1 50000 fe80::2 22\0TERM=xterm\0"
    assert parse_connection(environment) == Connection("ops", "fe80::1", 50000, "fe80::2", 22)
    assert parse_connection(b"USER=root\0SUDO_USER=ops\0") is None


def test_the_connection_is_found_behind_sudo_which_drops_its_traces(tmp_path: Path) -> None:
    process(tmp_path, 40, 30, b"USER=root\0")
    process(tmp_path, 30, 20, b"USER=ops\0SSH_CONNECTION=10.0.0.9 50000 10.0.0.1 22\0")
    process(tmp_path, 20, 1, b"LANG=C\0")
    assert connection_in_use(40, tmp_path) == CONNECTION
    assert ancestors(40, tmp_path) == [40, 30, 20]


def test_a_process_without_a_connection_has_none(tmp_path: Path) -> None:
    process(tmp_path, 40, 1, b"USER=root\0")
    assert connection_in_use(40, tmp_path) is None


def test_the_key_is_the_one_that_the_log_names_for_this_connection() -> None:
    others = LOG.replace("50000", "50001").replace("abc", "x"), LOG.replace("ops", "root").replace("abc", "y")
    assert accepted_in([*others, LOG, *others], CONNECTION) == "SHA256:abc+/1"
    assert accepted_in(others, CONNECTION) == ""


def test_a_certificate_is_no_key_of_authorized_keys() -> None:
    signed = LOG.replace("ED25519 ", "ED25519-CERT ").strip() + " ID me (serial 0) CA ED25519 SHA256:ca"
    assert accepted_in([signed], CONNECTION) == ""
