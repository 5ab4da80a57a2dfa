# SPDX-License-Identifier: Apache-2.0
"""What reaches systemd, on a real datagram socket."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from station.notify import Notifier, from_environment


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(5)
        yield receiver


def test_ready_comes_with_a_line_for_systemctl_status(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with listening(address) as receiver:
        Notifier(address).ready("reads md:replay")
        assert receiver.recv(4096) == b"READY=1\nSTATUS=reads md:replay"


def test_an_address_with_an_at_sign_is_a_socket_outside_the_file_system() -> None:
    name = f"station-test-{uuid.uuid4()}"
    with listening(f"\0{name}") as receiver:
        from_environment({"NOTIFY_SOCKET": f"@{name}"}).alive()
        assert receiver.recv(4096) == b"WATCHDOG=1"


def test_each_state_is_one_datagram_of_its_own(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with listening(address) as receiver:
        notifier = Notifier(address)
        notifier.alive()
        notifier.stopping()
        assert receiver.recv(4096) == b"WATCHDOG=1"
        assert receiver.recv(4096) == b"STOPPING=1"


def test_a_line_break_in_a_status_cannot_smuggle_a_second_state(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with listening(address) as receiver:
        Notifier(address).ready("bad\nWATCHDOG=1")
        assert receiver.recv(4096) == b"READY=1\nSTATUS=bad WATCHDOG=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_systemd_nothing_is_sent_and_nothing_fails(environment: dict[str, str]) -> None:
    from_environment(environment).ready("in a shell")


def test_a_socket_that_is_gone_is_said_and_ends_nothing(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        Notifier(str(tmp_path / "nobody")).alive()
    assert [line["event"] for line in lines] == ["systemd does not listen"]
