"""Ways into a host for what listens there on loopback or on a UNIX socket only; each ends with its caller."""

from __future__ import annotations

import shlex
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
RELAY = """
import socket, sys, threading
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
def send():
    while data := sys.stdin.buffer.read1():
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
data = b"ready\\n"
while data:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    data = server.recv(65536)
"""
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
def unix_socket(host: str, path: str, group: str) -> Iterator[socket.socket]:
    """Yield a socket that leads to a UNIX socket of the host, opened there as a member of a group.

    The admin is in no service's group, and ssh forwards with the admin's own rights: hence sudo and a relay.

    Raises:
        UserError: the host cannot be reached, or the socket cannot be opened.
    """
    command = shlex.join(["sudo", "-n", "-g", group, "python3", "-c", RELAY, path])
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen([*SSH, host, command], stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=PIPE)
    with _ended(process), ours:
        if ours.recv(len(READY), socket.MSG_WAITALL) != READY:
            raise UserError(f"cannot open {path} of {host}: {_last_words(process)}")
        yield ours


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
