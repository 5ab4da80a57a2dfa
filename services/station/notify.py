# SPDX-License-Identifier: Apache-2.0
"""What a service tells systemd (sd_notify(3)): ready, alive, stopping."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import structlog

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Sends states to the datagram socket that systemd named; without one, as in a shell, it says nothing."""

    def __init__(self, address: str | None) -> None:
        # "@" stands for the zero byte that begins a name outside the file system.
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Say that the service does its work from now on."""
        self._send("READY=1", _status(status))

    def alive(self) -> None:
        """Feed the watchdog. Only for progress that was seen."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service is on its way out."""
        self._send("STOPPING=1")

    def _send(self, *states: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto("\n".join(states).encode(), self._address)
        except OSError as error:
            # What it does not hear, systemd acts on; work that can still be finished is worth more than ending here.
            structlog.get_logger().warning("systemd does not listen", state=states[0], reason=error.strerror)


def _status(text: str) -> str:
    # A line break would begin a state of its own.
    return f"STATUS={' '.join(text.split())}"


def from_environment(environment: Mapping[str, str]) -> Notifier:
    """Return a notifier for the socket that systemd named to this process, if it did."""
    return Notifier(environment.get(VARIABLE))
