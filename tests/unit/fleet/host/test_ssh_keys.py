# SPDX-License-Identifier: Apache-2.0
"""ssh public keys: whole or damaged, and what a line of authorized_keys says of one."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.host.ssh_keys import Key, problem, read, unaccepted
from tests.unit.fleet.host.keys_kit import KEY, blob, rsa

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("size", range(4, 68, 4))
def test_a_key_that_was_cut_anywhere_is_damaged(size: int) -> None:
    kind, data, _ = KEY.split()
    assert problem(f"{kind} {data[:size]}")


def test_whole_keys_of_each_type_pass() -> None:
    point = bytes(65)
    assert problem(KEY) == ""
    assert problem(f"ecdsa-sha2-nistp256 {blob(b'ecdsa-sha2-nistp256', b'nistp256', point)}") == ""
    assert problem(f"ssh-rsa {blob(b'ssh-rsa', b'3', bytes(385))} me") == ""
    assert problem(f"sk-ssh-ed25519@openssh.com {blob(b'sk-ssh-ed25519@openssh.com', bytes(32), b'ssh:')}") == ""
    assert problem(f"ssh-rsa {blob(b'ssh-rsa', b'3')}")


@given(st.text())
def test_no_text_without_matching_data_is_a_public_key(text: str) -> None:
    assert problem(f"ssh-ed25519 {text}")


def told(line: str) -> Key:
    key = read(line)
    assert key is not None
    return key


@pytest.mark.parametrize("kind", [["ed25519"], ["rsa", "-b", "2048"], ["ecdsa", "-b", "384"]])
def test_a_key_of_ssh_keygen_has_its_fingerprint_and_its_length(tmp_path: Path, kind: list[str]) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", tmp_path / "id"], check=True)
    line = (tmp_path / "id.pub").read_text().strip()
    shown = subprocess.check_output(["ssh-keygen", "-l", "-f", tmp_path / "id.pub"], text=True).split()
    assert problem(line) == ""
    assert told(line).fingerprint == shown[1]
    assert told(line).bits == (int(shown[0]) if kind[0] == "rsa" else 0)


def test_what_is_no_key_is_none() -> None:
    assert [read(line) for line in ("", "# " + KEY, "word", "ssh-ed25519")] == [None] * 4


def test_the_options_of_a_line_are_read_with_blanks_and_quotes_in_them() -> None:
    key = told(f'from="10.0.0.0/8,*.example",no-pty,command="echo \\"ssh-ed25519 AAAA\\"" {KEY}')
    assert key.kind == "ssh-ed25519"
    assert (key.option("from"), key.option("no-pty"), key.option("environment")) == ("10.0.0.0/8,*.example", "", None)
    assert "AAAA" in str(key.option("command"))


@pytest.mark.parametrize(
    ("until", "expired"),
    [("20260601", True), ("202606011159Z", True), ("20260601120001Z", False), ("20270101Z", False), ("soon", True)],
)
def test_a_key_expires_at_its_time(until: str, expired: bool) -> None:
    assert told(f'expiry-time="{until}" {KEY}').expired(NOW) is expired
    assert told(KEY).expired(NOW) is False


def test_a_key_counts_by_its_type_and_its_length() -> None:
    modern = frozenset({"ssh-ed25519", "rsa-sha2-512"})
    assert unaccepted(told(KEY), modern, 3072) == ""
    assert unaccepted(told(rsa(3072)), modern, 3072) == ""
    assert "RSA key of 2048 bits" in unaccepted(told(rsa(2048)), modern, 3072)
    assert "type ssh-rsa" in unaccepted(told(rsa(3072)), frozenset({"ssh-ed25519"}), 0)
