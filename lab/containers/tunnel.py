# SPDX-License-Identifier: Apache-2.0
"""A way into a host for what listens there on loopback only; it ends with its caller."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE

from fleet.errors import UserError
from fleet.paths import LAB_STATE

SSH = ("ssh", "-F", str(LAB_STATE / "ssh_config"), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
# Runs until its input ends, which it does when this process closes the pipe or dies, however it dies.
WAIT = "echo ready; exec cat >/dev/null"
READY = b"ready\n"


@contextmanager
def forwarded_port(host: str, port: int) -> Iterator[int]:
    """Yield a port of this machine's loopback that leads to a port of the host's loopback.

    Raises:
        UserError: the host cannot be reached.
    """
    local = _free_port()
    forward = ["-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{local}:127.0.0.1:{port}"]
    process = subprocess.Popen([*SSH, *forward, host, WAIT], stdin=PIPE, stdout=PIPE, stderr=PIPE)
    with _ended(process):
        if process.stdout is None or process.stdout.readline() != READY:
            raise UserError(f"cannot reach {host} over ssh: {_last_words(process)}")
        yield local


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Close the process's input at the end, and make sure that it is gone."""
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_words(process: subprocess.Popen[bytes]) -> str:
    """Return the last line of standard error of a process that has ended or is about to."""
    try:
        _, words = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        return "no answer"
    return " ".join(words.decode().strip().splitlines()[-1:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
