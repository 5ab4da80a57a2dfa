#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Keep interrupts, packet queues, workqueues and kernel threads off the isolated CPUs of this machine.

`apply` moves what is not where /etc/fleet/irq.json wants it and says what the kernel refused; `check` only looks and
exits 1 when something differs; `policy` answers irqbalance. Interrupts are found by what they serve, never by their
number, which another boot may give to another device (Documentation/core-api/irq/irq-affinity.rst).
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import irq_plan as ip
from cpu_lists import compose, parse
from irq_plan import Change, Config, Device, Host, Interrupt, Mask, Thread

CONFIG = Path("/etc/fleet/irq.json")
FIXED = Path("/run/fleet-irq/fixed.json")
SLOT = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
# include/linux/sched.h
PF_KTHREAD = 0x00200000
PF_NO_SETAFFINITY = 0x04000000
# What the kernel answers where nobody may choose: the timer and managed interrupts such as NVMe queues (EIO or EPERM by
# its version; by 6.12 their files are read-only, which is EACCES without CAP_DAC_OVERRIDE), ordered workqueues,
# threads bound since this looked. Anything else is an error, a lack of privilege above all.
NOT_OURS = {"irq": {errno.EIO, errno.EPERM, errno.EACCES}, "workqueue": {errno.EINVAL}, "kthread": {errno.EINVAL}}


class Machine:
    """The rim: the kernel's files, and what it refused since it booted."""

    def __init__(
        self,
        root: Path = Path("/"),
        fixed: Path = FIXED,
        get: Callable[[int], set[int]] = os.sched_getaffinity,
        put: Callable[[int, Iterable[int]], None] = os.sched_setaffinity,
    ) -> None:
        self._proc, self._sys, self._fixed = root / "proc", root / "sys", fixed
        self._get, self._put = get, put

    def look(self) -> Host:
        """Read everything that a plan needs."""
        found = list(self._devices())
        by_number = {number: device for device, numbers in found for number in numbers}
        return Host(
            online=parse((self._sys / "devices/system/cpu/online").read_text()),
            devices=tuple(device for device, _ in found),
            interrupts=tuple(self._interrupts(by_number)),
            masks=tuple(self._masks()),
            threads=tuple(self._threads()),
            fixed=self._refused(),
        )

    def _devices(self) -> Iterator[tuple[Device, list[int]]]:
        interfaces: dict[str, set[str]] = {}
        drivers: dict[str, set[str]] = {}
        # A virtio interface hangs below its PCI device and has a driver of its own.
        for link in (self._sys / "class/net").glob("*/device"):
            slots = SLOT.findall(str(link.resolve()))
            if slots:
                interfaces.setdefault(slots[-1], set()).add(link.parent.name)
                drivers.setdefault(slots[-1], set()).add((link / "driver").resolve().name)
        for folder in sorted((self._sys / "bus/pci/devices").glob("*")):
            slot = folder.name
            if (folder / "driver").exists():
                drivers.setdefault(slot, set()).add((folder / "driver").resolve().name)
            identity = ":".join((folder / word).read_text().strip()[2:] for word in ("vendor", "device"))
            numbers = [int(file.name) for file in (folder / "msi_irqs").glob("*")]
            yield (
                Device(slot, identity, frozenset(drivers.get(slot, ())), frozenset(interfaces.get(slot, ()))),
                numbers or self._line(folder),
            )

    @staticmethod
    def _line(folder: Path) -> list[int]:
        """Return the one interrupt of a device that does not signal by messages; 0 means that it has none."""
        file = folder / "irq"
        number = int(file.read_text()) if file.exists() else 0
        return [number] if number else []

    def _interrupts(self, devices: Mapping[int, Device]) -> Iterator[Interrupt]:
        for folder in (self._proc / "irq").glob("[0-9]*"):
            number = int(folder.name)
            try:
                actions = (self._sys / "kernel/irq" / folder.name / "actions").read_text(errors="replace").strip()
                cpus = parse((folder / "smp_affinity_list").read_text())
            except OSError:
                continue  # it went away while this looks
            # One that its driver has not asked for yet keeps what it is given now.
            if actions or number in devices:
                yield Interrupt(number, tuple(filter(None, actions.split(","))), devices.get(number), cpus)

    def _masks(self) -> Iterator[Mask]:
        net, workqueues = self._sys / "class/net", self._sys / "devices/virtual/workqueue"
        files = [("default", "new interrupts", self._proc / "irq/default_smp_affinity")]
        for kind, pattern in (("rps", "*/queues/rx-*/rps_cpus"), ("xps", "*/queues/tx-*/xps_cpus")):
            files += [(kind, f"{p.parents[2].name}/{p.parent.name}", p) for p in sorted(net.glob(pattern))]
        files.append(("workqueue", "all unbound", workqueues / "cpumask"))
        files += [("workqueue", path.parent.name, path) for path in sorted(workqueues.glob("*/cpumask"))]
        for kind, name, path in files:
            try:
                yield Mask(kind, name, str(path), ip.parse_mask(path.read_text()))
            except OSError:
                continue  # an interface with one queue has no transmit steering to read

    def _threads(self) -> Iterator[Thread]:
        for folder in self._proc.glob("[0-9]*"):
            try:
                # A process may give itself a name of any bytes.
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
                name, _, rest = stat.partition("(")[2].rpartition(")")
                flags = int(rest.split()[6])
                if flags & PF_KTHREAD and not flags & PF_NO_SETAFFINITY:
                    yield Thread(int(folder.name), name, frozenset(self._get(int(folder.name))))
            except OSError:
                continue  # it ended while this looks

    def _refused(self) -> frozenset[str]:
        try:
            return frozenset(json.loads(self._fixed.read_text()))
        except (OSError, ValueError):
            return frozenset()

    def remember(self, keys: Iterable[str]) -> None:
        """Record until the next boot what the kernel did not let us move."""
        self._fixed.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace(self._fixed, json.dumps(sorted(keys)))

    def move(self, change: Change) -> int:
        """Carry one change out; 0, or the error number."""
        try:
            if change.kind == "kthread":
                self._put(int(change.target), change.want)
            elif change.kind == "irq":
                file = self._proc / "irq" / change.target / "smp_affinity_list"
                file.write_text(compose(change.want) + "\n")
            else:
                Path(change.target).write_text(ip.format_mask(change.want) + "\n")
        except OSError as error:
            gone = error.errno in {errno.ENOENT, errno.ESRCH}
            return 0 if gone else error.errno or errno.EIO
        return 0


@dataclass(frozen=True)
class Outcome:
    """What was found, and in `apply` done."""

    verb: str
    moved: tuple[Change, ...] = ()
    fixed: tuple[Change, ...] = ()
    errors: tuple[str, ...] = ()

    def table(self) -> str:
        """Return a line for each thing, and the totals."""
        lines = [change.line(self.verb) for change in self.moved]
        lines += [change.line("fixed") for change in self.fixed]
        lines.append(f"{self.verb} {len(self.moved)}, fixed by the kernel {len(self.fixed)}")
        return "\n".join(lines)


def check(config: Config, host: Host) -> Outcome:
    """Say what differs, apart from what the kernel has refused to move; pure."""
    todo = ip.plan(config, host)
    moved = tuple(change for change in todo if change.key not in host.fixed)
    return Outcome("differs", moved, tuple(change for change in todo if change.key in host.fixed))


def apply(config: Config, machine: Machine) -> Outcome:
    """Move what can be moved, look again, and say what did not stay."""
    moved, fixed, errors = [], [], []
    for change in ip.plan(config, machine.look()):
        failure = machine.move(change)
        if failure == 0:
            moved.append(change)
        elif failure in NOT_OURS.get(change.kind, ()):
            fixed.append(change)
        else:
            errors.append(f"{change.kind} {change.name} -> {compose(change.want)}: {os.strerror(failure)}")
    machine.remember(change.key for change in fixed)
    tried = {change.key for change in moved}
    errors += [
        f"{left.kind} {left.name} is on {compose(left.now)} again, wanted {compose(left.want)}"
        for left in (ip.plan(config, machine.look()) if tried else ())
        if left.key in tried
    ]
    return Outcome("moved", tuple(moved), tuple(fixed), tuple(errors))


def metrics(outcome: Outcome) -> str:
    """Return the text for Prometheus: what stays where it should not be."""
    return (
        "# HELP fleet_irq_fixed Interrupts, queues and threads on unwanted CPUs that the kernel does not let go.\n"
        "# TYPE fleet_irq_fixed gauge\n"
        f"fleet_irq_fixed {len(outcome.fixed)}\n"
        "# HELP fleet_irq_moved Interrupts, queues and threads that the last run had to move.\n"
        "# TYPE fleet_irq_moved gauge\n"
        f"fleet_irq_moved {len(outcome.moved)}\n"
        "# HELP fleet_irq_errors Interrupts, queues and threads that could not be moved.\n"
        "# TYPE fleet_irq_errors gauge\n"
        f"fleet_irq_errors {len(outcome.errors)}\n"
    )


def replace(file: Path, text: str) -> None:
    """Replace a file in one step."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(file)


def main(arguments: Sequence[str] | None = None, machine: Machine | None = None) -> int:
    """Return the exit status: 0 all is right, 1 something differs or would not move."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--metrics", type=Path, help="where apply leaves its counts; nowhere when absent")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("apply", help="move what is not where it should be")
    commands.add_parser("check", help="only look; exit 1 when something differs")
    policy = commands.add_parser("policy", help="tell irqbalance to leave interrupts that a rule places")
    policy.add_argument("path", help="sysfs path of the device")
    policy.add_argument("number", type=int, help="the interrupt")
    words = parser.parse_args(arguments)
    config, machine = Config.load(json.loads(words.config.read_text())), machine or Machine()
    if words.command == "policy":
        placed = any(item.number == words.number and config.rule_for(item) for item in machine.look().interrupts)
        print(f"ban={str(placed).lower()}")
        return 0
    outcome = check(config, machine.look()) if words.command == "check" else apply(config, machine)
    print(outcome.table())
    print("\n".join(outcome.errors), file=sys.stderr, end="\n" if outcome.errors else "")
    if words.command == "apply" and words.metrics and words.metrics.parent.is_dir():
        replace(words.metrics, metrics(outcome))
    return int(bool(outcome.errors or (words.command == "check" and outcome.moved)))


if __name__ == "__main__":
    sys.exit(main())
