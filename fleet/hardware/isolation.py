# SPDX-License-Identifier: Apache-2.0
"""Which CPUs of a host are isolated, which keep house, and which service gets which: from its hardware and one wish."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from fleet.hardware.cpus import CpuListError, compose, cores, parse

CLASSES = ("performance", "efficiency", "any")
SIBLINGS = ("run", "idle", "offline")
KEYS = (
    "class",
    "housekeeping_cores",
    "isolated_cores",
    "siblings",
    "numa_node",
    "cpus",
    "services",
)
MODULE = 4  # efficiency cores that share one L2 cache (sysfs: topology/cluster_cpus_list)
SERVICE = re.compile(r"[a-z][a-z0-9_]*")

Core = frozenset[int]


@dataclass(frozen=True)
class Refusal:
    """What a wish cannot have: the key of cpu_isolation, what is wrong with it and what would be right."""

    key: str
    wrong: str
    right: str

    @property
    def text(self) -> str:
        """Return the one line that a person reads."""
        return f"cpu_isolation{'.' if self.key else ''}{self.key} {self.wrong}; {self.right}"


class RefusedError(ValueError):
    """Carries the first refusal out of the planning."""

    def __init__(self, key: str, wrong: str, right: str) -> None:
        super().__init__(wrong)
        self.refusal = Refusal(key, wrong, right)


@dataclass(frozen=True)
class Machine:
    """The cores of a host, lowest CPU first, and what divides them."""

    cores: tuple[Core, ...]
    efficiency: frozenset[int]
    nodes: tuple[frozenset[int], ...]
    threads_known: bool

    @classmethod
    def of(cls, cpu: Mapping[str, Any]) -> Machine:
        """Read `hardware.cpu`.

        Raises:
            CpuListError: one of its lists is none, or does not divide into cores.
        """
        return cls(
            tuple(sorted(cores(cpu), key=min)),
            parse(str(cpu.get("efficiency_cpus") or "")),
            tuple(parse(str(node)) for node in cpu.get("numa_nodes") or ()),
            bool(cpu.get("threads_per_core")) or not cpu.get("performance_cpus"),
        )

    @property
    def cpus(self) -> frozenset[int]:
        """Return all CPUs."""
        return union(self.cores)

    @property
    def modules(self) -> tuple[frozenset[int], ...]:
        """Return the efficiency cores by the cache they share."""
        numbers = sorted(self.efficiency)
        return tuple(frozenset(numbers[first : first + MODULE]) for first in range(0, len(numbers), MODULE))

    def of_class(self, name: str) -> frozenset[int]:
        """Return the CPUs of a core class; on a machine of one kind all are performance CPUs."""
        if name == "any":
            return self.cpus
        return self.efficiency if name == "efficiency" else self.cpus - self.efficiency

    def node(self, number: int | None) -> frozenset[int]:
        """Return the CPUs of a memory node, or all; a machine that lists no nodes has node 0."""
        if number is None:
            return self.cpus
        nodes = self.nodes or (self.cpus,)
        if not 0 <= number < len(nodes):
            known = "only node 0" if len(nodes) == 1 else f"nodes 0-{len(nodes) - 1}"
            raise RefusedError("numa_node", f"{number} does not exist", f"hardware.cpu.numa_nodes has {known}")
        return nodes[number]

    def whole(self, cpus: frozenset[int]) -> frozenset[int]:
        """Return what is left of some CPUs without split cores and split modules."""
        kept = union(core for core in self.cores if core <= cpus)
        return kept - union(module for module in self.modules if not module <= kept)

    def completed(self, cpus: frozenset[int]) -> frozenset[int]:
        """Return some CPUs with the missing parts of the cores and modules that they touch."""
        touched = union(core for core in self.cores if core & cpus)
        return touched | union(module for module in self.modules if module & touched)


@dataclass(frozen=True)
class Wish:
    """`cpu_isolation` with its defaults."""

    core_class: str = "performance"
    housekeeping_cores: int = 1
    isolated_cores: int = 0
    siblings: str = "run"
    numa_node: int | None = None
    cpus: str = ""
    services: tuple[tuple[str, int], ...] = ()
    counts: bool = False  # whether it counts cores, beside or instead of naming CPUs

    @classmethod
    def read(cls, wish: Mapping[str, Any]) -> Wish:
        """Read `cpu_isolation`.

        Raises:
            RefusedError: an unknown key, or a value of a wrong kind.
        """
        for key in wish:
            if key not in KEYS:
                near = get_close_matches(str(key), KEYS, n=1)
                right = f"did you mean {near[0]}?" if near else f"known are {', '.join(KEYS)}"
                raise RefusedError(str(key), "is an unknown key", right)
        node = wish.get("numa_node")
        return cls(
            _choice(wish, "class", CLASSES),
            _number(wish, "housekeeping_cores", 1),
            _number(wish, "isolated_cores", 0),
            _choice(wish, "siblings", SIBLINGS),
            None if node is None else _number(wish, "numa_node", 0),
            str(wish.get("cpus") or "").strip(),
            _services(wish.get("services")),
            any(wish.get(key) is not None for key in ("housekeeping_cores", "isolated_cores")),
        )


@dataclass(frozen=True)
class CpuSets:
    """The division of one host; lists are in the kernel's notation."""

    isolated: str = ""
    housekeeping: str = ""
    irq: str = ""
    idle: str = ""
    offline: str = ""
    services: Mapping[str, str] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for templates."""
        return {
            "isolated": self.isolated,
            "housekeeping": self.housekeeping,
            "irq": self.irq,
            "idle": self.idle,
            "offline": self.offline,
            "services": dict(self.services),
            "problems": [refusal.text for refusal in self.refusals],
        }


def union(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    """Return the CPUs of several sets."""
    return frozenset().union(*sets)


def _choice(wish: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    value = str(wish.get(key) or choices[0])
    if value not in choices:
        raise RefusedError(key, f'"{value}" is no choice', f"write one of {', '.join(choices)}")
    return value


def _number(wish: Mapping[str, Any], key: str, default: int) -> int:
    value = wish.get(key)
    text = str(default if value is None else value)
    # YAML's `yes` is a number to Python; a text of digits is one to Ansible.
    if isinstance(value, bool) or not text.isascii() or not text.isdigit():
        raise RefusedError(key, f"{value} is no number of cores", f"write a whole number such as {default}")
    return int(text)


def _services(value: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(value or {}, Mapping):
        raise RefusedError("services", f"{value} is no dictionary", "write name: number of cores")
    services = []
    for name, number in (value or {}).items():
        if not SERVICE.fullmatch(str(name)):
            wrong, right = f'has a service "{name}"', "a name is lower-case letters, digits and _"
            raise RefusedError("services", wrong, right)
        if isinstance(number, bool) or not str(number).isascii() or not str(number).isdigit() or not int(number):
            raise RefusedError(f"services.{name}", f"{number} is no number of cores", "write a whole number from 1 on")
        services.append((str(name), int(number)))
    return tuple(services)


def _counted(machine: Machine, wish: Wish) -> frozenset[int]:
    """Return the CPUs of the cores that a wish counts.

    Raises:
        RefusedError: the host does not have them, or may not isolate them.
    """
    members = machine.of_class(wish.core_class)
    pool = [core for core in machine.cores if core <= members]
    kind = f"{wish.core_class} " if machine.efficiency and wish.core_class != "any" else ""
    if not pool:
        raise RefusedError("class", f"{wish.core_class}: the host has no such cores", "choose another class")
    node = machine.node(wish.numa_node)
    rest = [core for core in pool[wish.housekeeping_cores :] if core <= node]
    if any(0 in core for core in rest):
        wrong = f"{wish.housekeeping_cores} would isolate CPU 0, which boots and keeps the time of the others"
        raise RefusedError("housekeeping_cores", wrong, "write 1 or more")
    if not rest:
        where = "" if wish.numa_node is None else f" on node {wish.numa_node}"
        wrong = f"{wish.housekeeping_cores} leaves none of the {len(pool)} {kind}cores to isolate{where}"
        most = max((number for number, core in enumerate(pool) if core <= node), default=0)
        raise RefusedError("housekeeping_cores", wrong, f"write {most} at most" if most else "there is none to isolate")
    if wish.isolated_cores > len(rest):
        wrong = f"{wish.isolated_cores} is more than the {len(rest)} {kind}cores that housekeeping leaves"
        raise RefusedError("isolated_cores", wrong, f"write {len(rest)} at most, or 0 for all of them")
    chosen = union(rest[: wish.isolated_cores or None])
    split = chosen - machine.whole(chosen)
    if split:
        whole = machine.whole(chosen) or machine.completed(chosen)
        key = "isolated_cores" if wish.isolated_cores else "housekeeping_cores"
        number = wish.isolated_cores or wish.housekeeping_cores
        wrong = f"{number} takes {compose(split)} out of {_modules(machine, split)}"
        raise RefusedError(key, wrong, f'take whole modules: cpus: "{compose(whole)}" instead of counting')
    return chosen


def _modules(machine: Machine, split: frozenset[int]) -> str:
    """Return the modules that a choice cuts, as words."""
    names = ", ".join(compose(module) for module in machine.modules if module & split)
    return f"the efficiency cores {names}, which share one L2 cache"


def _named(machine: Machine, wish: Wish) -> frozenset[int]:
    """Return the CPUs that a wish names.

    Raises:
        RefusedError: they break a rule that counted CPUs follow.
    """
    try:
        chosen = parse(wish.cpus)
    except CpuListError as error:
        raise RefusedError("cpus", str(error), 'write a Linux CPU list such as "2-5"') from error
    wrong = _broken_rule(machine, wish, chosen)
    if wrong:
        raise RefusedError("cpus", f'"{compose(chosen)}" {wrong}', _remedy(machine, wish, chosen))
    if wish.counts and chosen != _counted(machine, wish):
        counted = compose(_counted(machine, wish))
        wrong = f'"{compose(chosen)}" is not what housekeeping_cores and isolated_cores count, "{counted}"'
        raise RefusedError("cpus", wrong, "keep the list or the counts")
    return chosen


def _broken_rule(machine: Machine, wish: Wish, chosen: frozenset[int]) -> str | None:
    """Return the first rule that a list breaks, as words."""
    members = machine.of_class(wish.core_class)
    mixed = ": mixes core classes" if chosen & members else f", and the class is {wish.core_class}"
    split = [core for core in machine.cores if core & chosen and not core <= chosen]
    names = ", ".join("/".join(map(str, sorted(core))) for core in split)
    cut = chosen - machine.whole(chosen)
    outside = chosen - machine.node(wish.numa_node)
    rules = (
        (chosen - machine.cpus, f"names CPUs {compose(chosen - machine.cpus)}, the host has {compose(machine.cpus)}"),
        (chosen & {0}, "takes CPU 0, which boots and keeps the time of the others"),
        (chosen - members, f"takes {compose(chosen - members)} of {_other(wish)} cores{mixed}"),
        (outside, f"takes {compose(outside)} outside of node {wish.numa_node}"),
        (split, f"splits the sibling threads {names} of a core"),
        (cut, f"takes {compose(cut)} out of {_modules(machine, cut)}"),
    )
    return next((words for broken, words in rules if broken), None)


def _other(wish: Wish) -> str:
    return "performance" if wish.core_class == "efficiency" else "efficiency"


def _remedy(machine: Machine, wish: Wish, chosen: frozenset[int]) -> str:
    """Offer what is left of a list when it keeps the rules, and what they want in addition."""
    node, members = machine.node(wish.numa_node), machine.of_class(wish.core_class)
    boot = union(core for core in machine.cores if 0 in core)
    smaller = machine.whole((chosen & members & node) - boot)
    larger = machine.whole((machine.completed(chosen) & node) - boot)
    lists = [f'"{compose(smaller)}"'] if smaller else []
    if larger - members:
        lists.append(f'"{compose(larger)}" with class: {"any" if larger & members else _other(wish)}')
    elif larger and larger != smaller:
        lists.append(f'"{compose(larger)}"')
    return f"take {' or '.join(lists)}" if lists else "take whole cores that the host has, without that of CPU 0"


def _chosen(machine: Machine, wish: Wish) -> frozenset[int]:
    """Return the CPUs to isolate.

    Raises:
        RefusedError: the host cannot do that.
    """
    if not machine.threads_known:
        right = "set hardware.cpu.threads_per_core (lscpu: threads per core) or remove cpu_isolation"
        raise RefusedError("", "takes whole cores, and siblings are unknown until seen", right)
    chosen = _named(machine, wish) if wish.cpus else _counted(machine, wish)
    if chosen == machine.cpus:
        raise RefusedError("", "leaves no CPU for everything else", "isolate fewer cores")
    return chosen


def _shares(machine: Machine, wish: Wish, isolated: frozenset[int]) -> dict[str, str]:
    """Return service -> CPUs, whole cores in order; of idle or offline siblings only the first thread counts."""
    free = [core for core in machine.cores if core <= isolated]
    wanted = sum(number for _, number in wish.services)
    if wanted > len(free):
        names = ", ".join(f"{name} {number}" for name, number in wish.services)
        wrong = f"want {wanted} cores ({names}) and {len(free)} are isolated"
        raise RefusedError("services", wrong, f"ask for {len(free)} at most or isolate more")
    threads = [core if wish.siblings == "run" else frozenset({min(core)}) for core in free]
    shares, start = {}, 0
    for name, number in wish.services:
        shares[name] = compose(union(threads[start : start + number]))
        start += number
    return shares


def divide(cpu: Mapping[str, Any], wish: Mapping[str, Any]) -> CpuSets:
    """Divide the CPUs of a host; with a refusal in the result nothing is isolated.

    Args:
        cpu: the `hardware.cpu` of the host.
        wish: its `cpu_isolation`.
    """
    try:
        machine = Machine.of(cpu)
    except CpuListError as error:
        return CpuSets(refusals=(Refusal("", f"cannot be planned: hardware.cpu: {error}", "mend hardware.cpu"),))
    everything = compose(machine.cpus)
    if not wish:
        return CpuSets(housekeeping=everything, irq=_irq(machine, machine.cpus))
    try:
        known = Wish.read(wish)
        isolated = _chosen(machine, known)
        services = _shares(machine, known, isolated)
    except RefusedError as error:
        # Templates that name a service find an empty list instead of failing before the problem is reported.
        names = wish.get("services")
        return CpuSets(
            housekeeping=everything,
            irq=_irq(machine, machine.cpus),
            services={str(name): "" for name in names} if isinstance(names, Mapping) else {},
            refusals=(error.refusal,),
        )
    idle = frozenset() if known.siblings == "run" else _later_threads(machine, isolated)
    housekeeping = machine.cpus - isolated
    return CpuSets(
        compose(isolated),
        compose(housekeeping),
        _irq(machine, housekeeping),
        compose(idle),
        compose(idle) if known.siblings == "offline" else "",
        services,
    )


def _later_threads(machine: Machine, isolated: frozenset[int]) -> frozenset[int]:
    return union(core - {min(core)} for core in machine.cores if core <= isolated)


def _irq(machine: Machine, housekeeping: frozenset[int]) -> str:
    """Return the CPUs for interrupts: the faster ones of those that keep house."""
    return compose(housekeeping - machine.efficiency or housekeeping)
