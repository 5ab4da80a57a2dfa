#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Managed by Ansible (role xdp). Prove on this host that the engine's unit settings are enough for AF_XDP and io_uring.

  xdp-smoke veth                    numbered frames through a veth pair into an AF_XDP socket, in copy mode
  xdp-smoke zero-copy INTERFACE [QUEUE]   whether a network card's driver binds in zero-copy mode
  xdp-smoke io-uring                the engine may use io_uring, another user may not

The receiving side always runs as the transient unit xdp-smoke.service, to which the drop-in applies that the
services get: same user, same capabilities, same limits. Exit status: 0 proven, 1 not, 2 cannot be run. Needs root.
`veth` works in network namespaces of its own and touches no real interface; `zero-copy` takes a queue of the card for
a moment and attaches nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

UNIT = "xdp-smoke.service"
HOME = Path(__file__).resolve().parent
RECEIVER = HOME / "xdp-receive"
OBJECT = HOME / "redirect.bpf.o"
LOCK = Path("/run/xdp-smoke.lock")
DROP_IN = Path("/etc/systemd/system/xdp-smoke.service.d/10-xdp.conf")

RECEIVING, SENDING = "xdp-smoke-rx", "xdp-smoke-tx"
RECEIVING_MAC, SENDING_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
PORT = 9  # discard (RFC 863): nobody listens there
# A window is a quarter of the receiver's rings, and the next one waits until it was taken: whatever is lost is a fault.
WINDOW = 1024
WINDOWS = 12
CLONE_NEWNET = 0x40000000
IO_URING_SETUP = 425  # the same number on every architecture


class SmokeError(Exception):
    """What was to be proven does not hold; the message is one line."""


def checksum(header: bytes) -> int:
    """Return the IPv4 header checksum (RFC 791): the ones' complement of the sum of 16-bit words.

    Args:
        header: An even number of bytes, the checksum's own field zero.

    Returns:
        The value for the checksum's field.
    """
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(number: int) -> bytes:
    """Return an Ethernet frame with a UDP datagram that carries the number."""
    payload = struct.pack("!I", number) + bytes(18)  # padded to the smallest frame
    udp = struct.pack("!HHHH", PORT, PORT, 8 + len(payload), 0)
    ends = socket.inet_aton("192.0.2.2") + socket.inet_aton("192.0.2.1")  # documentation addresses, RFC 5737
    fields = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + len(udp) + len(payload), number & 0xFFFF, 0, 64, socket.IPPROTO_UDP, 0
    )
    ip = fields[:10] + struct.pack("!H", checksum(fields + ends)) + ends
    macs = bytes.fromhex((RECEIVING_MAC + SENDING_MAC).replace(":", ""))
    return macs + struct.pack("!H", 0x0800) + ip + udp + payload


def run(*words: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SmokeError(f"{' '.join(words)}: {done.stderr.strip()}")


def clean() -> None:
    """Remove what this or an earlier, killed run has left: the unit first, it holds the namespace."""
    subprocess.run(["systemctl", "stop", UNIT], capture_output=True, check=False)
    subprocess.run(["systemctl", "reset-failed", UNIT], capture_output=True, check=False)
    for namespace in (RECEIVING, SENDING):
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


@contextlib.contextmanager
def veth_pair() -> Iterator[None]:
    """Give two network namespaces, joined by a veth pair with one queue."""
    clean()
    try:
        for namespace in (RECEIVING, SENDING):
            run("ip", "netns", "add", namespace)
        end = ["address", SENDING_MAC, "numtxqueues", "1", "numrxqueues", "1"]
        peer = ["address", RECEIVING_MAC, "numtxqueues", "1", "numrxqueues", "1", "netns", RECEIVING]
        run("ip", "-n", SENDING, "link", "add", "veth0", *end, "type", "veth", "peer", "name", "veth0", *peer)
        for namespace in (RECEIVING, SENDING):
            run("ip", "-n", namespace, "link", "set", "veth0", "up")
        yield
    finally:
        clean()


def sending_socket() -> socket.socket:
    """Open a raw socket on the sending end; it stays there when this thread goes back to its own namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as own, Path("/run/netns", SENDING).open() as other:
        if libc.setns(other.fileno(), CLONE_NEWNET) != 0:
            raise SmokeError(f"cannot enter the namespace {SENDING}: {os.strerror(ctypes.get_errno())}")
        try:
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            sender.bind(("veth0", 0))
        finally:
            libc.setns(own.fileno(), CLONE_NEWNET)
    return sender


def as_engine(command: Sequence[str], properties: Sequence[str] = (), unit: str = UNIT) -> list[str]:
    """Return the command line that runs a command as a transient unit and hands its words and exit status back."""
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec", f"--unit={unit}"]
    return [*words, *(f"--property={line}" for line in properties), "--", *command]


def receive_command(interface: str, queue: int, mode: str, copying: str, count: int) -> list[str]:
    """Return the receiver's command line."""
    return [str(RECEIVER), interface, str(queue), mode, copying, str(OBJECT), str(count)]


def expect(lines: IO[str], word: str) -> None:
    """Read the receiver's next line, which has to be the expected one."""
    line = lines.readline().strip()
    if line != word:
        raise SmokeError(f"the receiver said '{line}' where '{word}' was due" if line else "the receiver ended")


def send_windows(sender: socket.socket, lines: IO[str]) -> None:
    """Send all frames, each window when the one before it was taken."""
    expect(lines, "ready")
    for window in range(WINDOWS):
        for number in range(window * WINDOW, (window + 1) * WINDOW):
            sender.send(frame(number))
        expect(lines, f"taken {(window + 1) * WINDOW}")


def copy_mode(mode: str) -> str:
    """Send numbered frames through the pair into a socket in copy mode and return what the receiver found."""
    command = as_engine(
        receive_command("veth0", 0, mode, "copy", WINDOW * WINDOWS), [f"NetworkNamespacePath=/run/netns/{RECEIVING}"]
    )
    with (
        sending_socket() as sender,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as receiver,
    ):
        out, words = cast("IO[str]", receiver.stdout), cast("IO[str]", receiver.stderr)
        try:
            send_windows(sender, out)
        except SmokeError as error:
            subprocess.run(["systemctl", "stop", UNIT], capture_output=True, check=False)
            raise SmokeError(f"{mode} mode: {error}; {words.read().strip()}") from error
        found, said = out.read().strip(), words.read().strip()
        if receiver.wait() != 0:
            raise SmokeError(f"{mode} mode: {said}")
    return found


def bind_zero_copy(interface: str, queue: int, properties: Sequence[str] = ()) -> tuple[bool, str]:
    """Bind in zero-copy mode and return whether the kernel did, with the words of the receiver."""
    command = as_engine(receive_command(interface, queue, "driver", "zero-copy", 0), properties)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, " / ".join((done.stdout + done.stderr).strip().splitlines())


def veth() -> None:
    """Prove copy mode both ways the kernel has, and that zero-copy mode is refused where the driver has none."""
    with veth_pair():
        for mode in ("skb", "driver"):
            print(f"veth, {mode} mode, copy: {copy_mode(mode)}", flush=True)
        bound, words = bind_zero_copy("veth0", 0, [f"NetworkNamespacePath=/run/netns/{RECEIVING}"])
        if bound or "Operation not supported" not in words:
            raise SmokeError(f"veth has no zero-copy mode, and asking for it is not refused as unsupported: {words}")
        print(f"veth, zero-copy: refused, as it has to be ({words})")


def zero_copy(interface: str, queue: int) -> None:
    """Prove that the card's driver binds in zero-copy mode."""
    clean()
    bound, words = bind_zero_copy(interface, queue)
    if not bound:
        raise SmokeError(f"{interface} queue {queue}, zero-copy: {words}")
    print(f"{interface} queue {queue}, zero-copy: bound ({words})")


def set_up_ring() -> int:
    """Make an io_uring with one entry and return the error number, 0 for success."""
    libc = ctypes.CDLL(None, use_errno=True)
    parameters = (ctypes.c_char * 120)()  # struct io_uring_params, all zero
    ring = libc.syscall(IO_URING_SETUP, 1, ctypes.byref(parameters))
    return ctypes.get_errno() if ring < 0 else 0


def io_uring() -> None:
    """Prove that the engine may make a ring and a user outside the group may not."""
    clean()
    itself = [sys.executable, str(Path(__file__).resolve()), "set-up-ring"]
    engine = subprocess.run(as_engine(itself), capture_output=True, text=True, check=False)
    if engine.stdout.strip() != "ring: ok":
        raise SmokeError(f"io_uring: the engine is refused: {(engine.stdout + engine.stderr).strip()}")
    command = as_engine(itself, ["User=nobody"], unit="xdp-smoke-stranger.service")
    stranger = subprocess.run(command, capture_output=True, text=True, check=False)
    if stranger.stdout.strip() != "ring: Operation not permitted":
        raise SmokeError(
            f"io_uring: a user outside the group is not refused: {(stranger.stdout + stranger.stderr).strip()}"
        )
    print("io_uring: the engine may, a user outside its group may not")


def main(words: Sequence[str]) -> int:
    """Run one proof."""
    try:
        match list(words):
            case ["set-up-ring"]:  # the part of `io-uring` that runs inside the unit
                print(f"ring: {os.strerror(error) if (error := set_up_ring()) else 'ok'}")
                return 0
            case ["veth" | "zero-copy" | "io-uring", *_] if os.geteuid() != 0 or not DROP_IN.exists():
                print(f"xdp-smoke needs root and {DROP_IN}, which the role xdp writes", file=sys.stderr)
                return 2
            case [("veth" | "io-uring") as proof]:
                with LOCK.open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    veth() if proof == "veth" else io_uring()
            case ["zero-copy", interface, *rest] if len(rest) < 2:
                with LOCK.open("w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    zero_copy(interface, int(rest[0]) if rest else 0)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except SmokeError as error:
        print(f"xdp-smoke: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
