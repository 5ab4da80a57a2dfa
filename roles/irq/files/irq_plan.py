# SPDX-License-Identifier: Apache-2.0
"""Which interrupts, packet queues, workqueues and kernel threads have to move, and where to; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from cpu_lists import compose, parse

Cpus = frozenset[int]


def parse_mask(text: str) -> Cpus:
    """Return the CPUs of a hexadecimal mask in groups of 32 bits, such as "1,0000000f"."""
    bits = int(text.replace(",", ""), 16)
    return frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


def format_mask(cpus: Iterable[int]) -> str:
    """Return the hexadecimal mask of some CPUs, in groups of 32 bits as the kernel reads them."""
    bits = sum(1 << cpu for cpu in set(cpus))
    groups: list[str] = []
    while bits or not groups:
        groups.append(f"{bits & 0xFFFFFFFF:08x}")
        bits >>= 32
    return ",".join(reversed(groups))


@dataclass(frozen=True)
class Device:
    """A PCI device: where it sits, what it is, who drives it, which network interfaces it carries."""

    slot: str
    identity: str
    drivers: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Interrupt:
    """One interrupt line: what it serves, and where it may fire."""

    number: int
    actions: tuple[str, ...]
    device: Device | None
    cpus: Cpus

    @property
    def name(self) -> str:
        """What a person reads: the actions, or the device that has not asked for it yet."""
        return ",".join(self.actions) or (f"{self.device.slot} (unused)" if self.device else "(unused)")


@dataclass(frozen=True)
class Mask:
    """A file of the kernel that holds a mask of CPUs.

    Attributes:
        kind: default (new interrupts), rps, xps or workqueue.
        name: `<interface>/<queue>` of a packet queue, else what a person reads.
        path: the file.
        cpus: what it holds.
    """

    kind: str
    name: str
    path: str
    cpus: Cpus


@dataclass(frozen=True)
class Thread:
    """A kernel thread whose CPUs may be chosen."""

    pid: int
    name: str
    cpus: Cpus


@dataclass(frozen=True)
class Rule:
    """Which interrupts go where; the first rule that matches an interrupt decides.

    Attributes:
        match: pattern of action names, `driver:<name>`, or `pci:<slot, or vendor:device>`; any of them.
        cpus: where they go.
        spread: give each interrupt one CPU, in turn, instead of all of them.
    """

    match: tuple[str, ...]
    cpus: Cpus
    spread: bool = False

    def covers(self, device: Device | None, actions: Sequence[str] = ()) -> bool:
        """Whether the rule is about a device, or about one of these action names."""
        return any(_matches(pattern, device, actions) for pattern in self.match)


def _matches(pattern: str, device: Device | None, actions: Sequence[str]) -> bool:
    kind, _, value = pattern.partition(":")
    if kind == "driver":
        return device is not None and value in device.drivers
    if kind == "pci":
        return device is not None and value in {device.slot, device.identity}
    return any(fnmatchcase(action, pattern) for action in actions)


@dataclass(frozen=True)
class Config:
    """What the inventory wants of this host; no CPUs for interrupts means to leave them where they are."""

    isolated: Cpus
    cpus: Cpus
    rules: tuple[Rule, ...] = ()

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Config:
        """Read the configuration file's content."""
        rules = (Rule(tuple(item["match"]), parse(item["cpus"]), bool(item["spread"])) for item in data["rules"])
        return cls(parse(data["isolated"]), parse(data["cpus"]), tuple(rules))

    def rule_for(self, interrupt: Interrupt) -> Rule | None:
        """Return the rule that decides on an interrupt."""
        return next((rule for rule in self.rules if rule.covers(interrupt.device, interrupt.actions)), None)


@dataclass(frozen=True)
class Host:
    """What the machine is and does now; `fixed` are the changes that the kernel has refused since it booted."""

    online: Cpus
    devices: tuple[Device, ...] = ()
    interrupts: tuple[Interrupt, ...] = ()
    masks: tuple[Mask, ...] = ()
    threads: tuple[Thread, ...] = ()
    fixed: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True)
class Change:
    """One thing that is not where it should be; `target` is its number, file or process."""

    kind: str
    name: str
    target: str
    now: Cpus
    want: Cpus

    @property
    def key(self) -> str:
        """What tells it from every other one until the next boot."""
        return f"{self.kind} {self.target} {self.name}"

    def line(self, word: str) -> str:
        """Return the change for a person."""
        now, want = compose(self.now) or "none", compose(self.want) or "none"
        return f"{word:8} {self.kind:10} {self.name:36} {now:>12} -> {want}"


def plan(config: Config, host: Host) -> list[Change]:
    """Say what has to move, what nobody can move included."""
    return [*_interrupts(config, host), *_masks(config, host), *_threads(config, host)]


def _interrupts(config: Config, host: Host) -> Iterator[Change]:
    turns = dict.fromkeys(config.rules, 0)
    for interrupt in sorted(host.interrupts, key=lambda item: item.number):
        now = interrupt.cpus & host.online
        rule = config.rule_for(interrupt)
        if rule is None:
            # A part of the CPUs will do: irqbalance and drivers spread interrupts among those that are allowed.
            want = config.cpus & host.online
            right = now <= want
        else:
            allowed = sorted(rule.cpus & host.online)
            turn, turns[rule] = turns[rule], turns[rule] + 1
            want = frozenset(allowed[turn % len(allowed)] if rule.spread else cpu for cpu in allowed)
            right = now == want
        if want and not right:
            yield Change("irq", f"{interrupt.number} {interrupt.name}", str(interrupt.number), interrupt.cpus, want)


def _masks(config: Config, host: Host) -> Iterator[Change]:
    # Who puts a device's interrupts on isolated CPUs has chosen them for its packets too.
    chosen = [rule for rule in config.rules if rule.cpus & config.isolated]
    devices = [device for device in host.devices if any(rule.covers(device) for rule in chosen)]
    spared = {name for device in devices for name in device.interfaces}
    for mask in host.masks:
        want = mask.cpus - config.isolated
        if mask.kind == "default":
            want = config.cpus & host.online or mask.cpus
            if mask.cpus & host.online == want & host.online:
                continue
        elif mask.kind == "workqueue":
            want = want if want & host.online else host.online - config.isolated
        elif mask.name.split("/")[0] in spared:
            continue
        if want != mask.cpus:
            yield Change(mask.kind, mask.name, mask.path, mask.cpus, want)


def _threads(config: Config, host: Host) -> Iterator[Change]:
    for thread in host.threads:
        # One CPU means that somebody placed it there; an interrupt's thread follows its interrupt.
        if len(thread.cpus) == 1 or thread.name.startswith("irq/") or not thread.cpus & config.isolated:
            continue
        want = (thread.cpus - config.isolated) & host.online or host.online - config.isolated
        yield Change("kthread", thread.name, str(thread.pid), thread.cpus, want)
