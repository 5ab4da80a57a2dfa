# SPDX-License-Identifier: Apache-2.0
"""One virtual machine: start it, cut its power, remove it. Its disk is an overlay over the installed image."""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import UserError
from lab.vm import disk

# Under emulation the newest features cost time and are the least tried: with `max` units failed at random (QEMU 7.2).
CPU = "Westmere,+pdpe1gb,+rdtscp,vendor=GenuineIntel"
BOOT_TIMEOUT = 900  # seconds until ssh answers; about 60 under emulation on an idle machine, more on a busy one
# The inventory has three names for the machine (inventory/vm/hosts.yml), each with an address.
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@dataclass(frozen=True)
class Machine:
    """Where a machine keeps its files, and the port of loopback that leads to its ssh server.

    What enters a machine lies beside its folder: one key and one list of host keys for all machines there.
    """

    folder: Path
    port: int

    @property
    def overlay(self) -> Path:
        """Return the disk that takes what the machine writes."""
        return self.folder / "disk.qcow2"

    @property
    def console(self) -> Path:
        """Return the log of the serial console."""
        return self.folder / "console.log"

    @property
    def key(self) -> Path:
        """Return the private key that enters the machine."""
        return self.folder.parent / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Return the file with the host key, which is that of the installed image."""
        return self.folder.parent / "known_hosts"

    @property
    def pid_file(self) -> Path:
        """Return the file with the emulator's process id."""
        return self.folder / "qemu.pid"


def create(machine: Machine, say: Callable[[str], None]) -> None:
    """Make the machine from the installed image if there is none, start it, and wait until ssh answers.

    Args:
        machine: the machine; its folder is made.
        say: takes one line of progress.

    Raises:
        UserError: the image cannot be built, the emulator does not start, or ssh never answers.
    """
    machine.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(machine.folder.parent):
        image = disk.provide(say)
        if not machine.key.exists():
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "station-vm", "-f", str(machine.key))
        names = ",".join(f"[{address}]:*" for address in ADDRESSES)
        machine.known_hosts.write_text(f"{names} {disk.host_key(image)}\n")
    if not machine.overlay.exists():
        shutil.copy(disk.FIRMWARE / "OVMF_VARS_4M.fd", machine.folder / "firmware.fd")
        _run(*disk.program("qemu-img"), "create", "-q", "-f", "raw", str(machine.folder / "nvme.raw"), "64M")
        _run(
            *disk.program("qemu-img"),
            "create",
            "-q",
            "-b",
            str(image),
            "-F",
            "qcow2",
            "-f",
            "qcow2",
            str(machine.overlay),
        )
    start(machine)
    began = time.monotonic()
    say(f"booting {machine.folder.name}, console in {machine.console} ...")
    wait(machine)
    say(f"ssh answers after {time.monotonic() - began:.0f} s")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for whoever makes another machine's beginnings here."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start(machine: Machine) -> None:
    """Switch the machine on, unless it runs.

    Raises:
        UserError: the emulator does not start.
    """
    if process(machine) is None:
        machine.pid_file.unlink(missing_ok=True)
        _run(*_command(machine))


def wait(machine: Machine, timeout: float = BOOT_TIMEOUT) -> None:
    """Wait until somebody can log in.

    Raises:
        UserError: nobody can within the time, or the machine is off; with the console's last line.
    """
    limit = time.monotonic() + timeout
    while time.monotonic() < limit and process(machine) is not None:
        if ssh(machine, "true").returncode == 0:
            return
        time.sleep(2)
    words = machine.console.read_text(errors="replace").splitlines() if machine.console.exists() else []
    last = next((line.strip() for line in reversed(words) if line.strip()), "nothing")
    state = "is off" if process(machine) is None else f"does not answer by ssh after {timeout:.0f} s"
    raise UserError(f"the virtual machine {state}; its console ({machine.console}) ends with: {last}")


def ssh(machine: Machine, command: str) -> subprocess.CompletedProcess[str]:
    """Run one command in the machine as the administrator."""
    words = ["ssh", "-p", str(machine.port), "-i", str(machine.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    words += ["-o", f'UserKnownHostsFile="{machine.known_hosts}"', "-o", "ConnectTimeout=5"]
    return subprocess.run([*words, f"ops@{ADDRESSES[0]}", command], capture_output=True, text=True, check=False)


def power_cut(machine: Machine) -> None:
    """Take the power away: what the machine has not written to its disk is lost."""
    pid = process(machine)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    limit = time.monotonic() + 10
    while process(machine) is not None and time.monotonic() < limit:
        time.sleep(0.1)


def destroy(machine: Machine) -> None:
    """Switch the machine off and remove its files."""
    power_cut(machine)
    shutil.rmtree(machine.folder, ignore_errors=True)


def process(machine: Machine) -> int | None:
    """Return the emulator's process id, or None if the machine is off."""
    try:
        pid = int(machine.pid_file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    return pid if str(machine.overlay) in words else None


def _command(machine: Machine) -> list[str]:
    """Return the emulator's command line.

    Two sockets, each a core of two threads and a memory node of 2 GiB; a virtual card as uplink, an e1000e whose queues
    have interrupts of their own, and an NVMe disk, whose interrupts the kernel manages.
    """
    hardware = [
        "-nodefaults",
        "-machine",
        "q35",
        "-cpu",
        CPU,
        "-m",
        "4G",
        "-smp",
        "4,sockets=2,cores=1,threads=2",
    ]
    for node, cpus in enumerate(("0-1", "2-3")):
        hardware += ["-object", f"memory-backend-ram,id=memory{node},size=2G"]
        hardware += ["-numa", f"node,nodeid={node},memdev=memory{node},cpus={cpus}"]
    firmware = disk.FIRMWARE / "OVMF_CODE_4M.fd"
    disks = [
        f"if=pflash,format=raw,readonly=on,file={firmware}",
        f"if=pflash,format=raw,file={machine.folder / 'firmware.fd'}",
        # A power cut of the machine leaves the build machine's page cache alone, so flushing it proves nothing.
        f"if=virtio,format=qcow2,cache=unsafe,file={machine.overlay}",
        f"if=none,id=nvme,format=raw,cache=unsafe,file={machine.folder / 'nvme.raw'}",
    ]
    public = machine.key.with_suffix(".pub").read_bytes()
    authorised = base64.b64encode(public).decode()
    entry = "f~ /home/ops/.ssh/authorized_keys 0600 ops ops - "
    folder = "d /home/ops/.ssh 0700 ops ops -\n"
    credential = base64.b64encode(f"{folder}{entry}{authorised}\n".encode()).decode()
    forwards = "".join(f",hostfwd=tcp:{address}:{machine.port}-:22" for address in ADDRESSES)
    return [
        *disk.program("qemu-system-x86_64"),
        *("-L", str(disk.EMULATOR.root / "usr/share/qemu"), "-L", str(disk.EMULATOR.root / "usr/share/seabios")),
        # In several threads a processor at times never ended a timer interrupt (its APIC kept bit 236 in service) and
        # the boot hung: 3 of about 20 with QEMU 10.0. One thread is no slower here.
        *("-accel", "kvm" if _virtualises() else "tcg,thread=single"),
        *hardware,
        *(word for drive in disks for word in ("-drive", drive)),
        *("-device", "nvme,drive=nvme,serial=station"),
        *("-netdev", f"user,id=uplink{forwards}", "-device", "virtio-net-pci,netdev=uplink"),
        *("-netdev", "user,id=lab,restrict=on", "-device", "e1000e,netdev=lab"),
        *("-smbios", f"type=11,value=io.systemd.credential.binary:tmpfiles.extra={credential}"),
        *("-serial", f"file:{machine.console}", "-display", "none", "-monitor", "none"),
        *("-daemonize", "-pidfile", str(machine.pid_file)),
    ]


def _virtualises() -> bool:
    """Say whether the processor can run the machine; the device alone does not tell, a container may have it too."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return bool({"vmx", "svm"} & set(flags)) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise UserError(f"`{command[0]}` failed: {' '.join(reason) or 'no reason given'}")
