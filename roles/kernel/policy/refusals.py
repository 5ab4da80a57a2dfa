# SPDX-License-Identifier: Apache-2.0
"""What contradicts a kernel command line: arguments that harm, two owners of one, more huge pages than memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleet.hardware.cpus import CpuListError
from fleet.host.cpu_lists import of_kernel
from fleet.model.rules import Refusal
from roles.kernel.module_utils.kernel_boot_plan import MARK
from roles.kernel.module_utils.kernel_words import GENERIC, PAGE_KIB, REPEATABLE, flavour_of, name_of
from roles.kernel.policy.line import ISOLATION, POLICY, PROFILES, Options

# What neither the shell that sources /etc/default/grub.d, nor GRUB's own script, nor the kernel reads as anything else.
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(=[A-Za-z0-9_.,:/@%+=!-]*)?")
MEMORY_SHARE = 80  # percent of the memory that huge pages may take


@dataclass(frozen=True)
class Harmful:
    """An argument that guides recommend; without values, each value of it."""

    name: str
    values: tuple[str, ...]
    why: str
    right: str


_IDLE = "set kernel_idle_latency_us"
HARMFUL = (
    Harmful("idle", ("poll",), "switches Turbo off on Intel and heats the package (cpuidle.rst)", _IDLE),
    Harmful(
        "nohz_full",
        ("all",),
        "leaves CPU 0 alone with the kernel's work and slows every system call (timers/no_hz.rst)",
        "isolate the CPUs that need it with cpu_isolation",
    ),
    Harmful(
        "rcu_nocbs",
        ("all",),
        "moves the callbacks of every CPU, those that keep house among them (kernel-parameters.txt)",
        "isolate the CPUs that need it with cpu_isolation",
    ),
    Harmful(
        "pcie_aspm",
        ("off",),
        "leaves link power saving as the firmware set it (kernel-parameters.txt)",
        "write pcie_aspm.policy=performance",
    ),
    Harmful(
        "mitigations", ("off",), "exposes the host to the known attacks on CPUs (kernel-parameters.txt)", "remove it"
    ),
    Harmful(
        "intel_pstate",
        ("performance",),
        "is no mode of the driver, which ignores it without a word (intel_pstate.c)",
        "set kernel_governor: performance",
    ),
    Harmful(
        "intel_pstate",
        ("disable",),
        "switches HWP off, which the kernel itself warns of on hybrid CPUs (intel_pstate.c)",
        "set kernel_governor: performance",
    ),
    Harmful("processor.max_cstate", (), "costs Turbo and heat on every core, busy or not (cpuidle.rst)", _IDLE),
    Harmful(
        "intel_idle.max_cstate", ("0",), "falls back to acpi_idle, which knows the CPU less well (cpuidle.rst)", _IDLE
    ),
    Harmful(
        "rcutree.enable_rcu_lazy",
        ("1", "y", "Y", ""),
        "saves power by delaying grace periods for seconds (kernel-parameters.txt)",
        "remove it",
    ),
    Harmful("nohz", ("on",), "is the default and does nothing (kernel-parameters.txt)", "remove it"),
)
# Parameters that a variable of the role owns, whatever the profile.
OWNED = {
    "transparent_hugepage": "kernel_transparent_hugepages",
    "default_hugepagesz": "kernel_hugepages",
    "hugepagesz": "kernel_hugepages",
    "hugepages": "kernel_hugepages",
}


def variable_of(owner: str) -> str:
    """Return the variable in which an owner declares kernel arguments."""
    return owner if owner == POLICY else f"{owner}_kernel_arguments"


def refusals(profile: str, sets: Mapping[str, Any], options: Options, hardware: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield what contradicts the command line of a host.

    Args:
        profile: what the host is for.
        sets: its `cpu_sets`.
        options: as for the line.
        hardware: its `hardware`.
    """
    yield from _profile(profile, sets)
    yield from _version(options)
    yield from _arguments(profile, options, hardware)
    yield from _isolation(profile, options)
    yield from _hugepages(options, hardware)


def _profile(profile: str, sets: Mapping[str, Any]) -> Iterator[Refusal]:
    isolates = [name for name, wanted in PROFILES.items() if any(item.needs == ISOLATION for item in wanted)]
    if sets.get("isolated") and profile not in isolates:
        wrong = f"{profile} isolates no CPUs, and cpu_isolation wants {sets['isolated']}"
        yield Refusal("kernel_profile", wrong, f"write {' or '.join(isolates)}, or remove cpu_isolation")


def _version(options: Options) -> Iterator[Refusal]:
    """Yield a pinned release of the other flavour: what is checked and composed goes by the flavour."""
    if options.version and flavour_of(options.version) != options.flavour:
        wrong = f"{options.version} is a {flavour_of(options.version)} kernel, and kernel_flavour is {options.flavour}"
        yield Refusal("kernel_version", wrong, "write another release, or the other flavour")


def _entries(options: Options) -> Iterator[tuple[str, Any]]:
    """Yield each argument with its key: the variable and its place in it."""
    for owner, arguments in options.arguments.items():
        for number, argument in enumerate(arguments or ()):
            yield f"{variable_of(owner)}.{number}", argument


def _arguments(profile: str, options: Options, hardware: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield at most one refusal an argument."""
    first: dict[str, str] = {}
    for key, argument in _entries(options):
        found = _alone(profile, key, argument, options.flavour, hardware)
        name, variable = name_of(argument), key.partition(".")[0]
        if found is None and name in first and name not in REPEATABLE:
            other = f", {first[name]} has one" if first[name] != variable else ""
            found = Refusal(key, f"{argument} is the second {name}{other}", "keep one of them")
        first.setdefault(name, variable)
        if found is not None:
            yield found


def _alone(profile: str, key: str, argument: Any, flavour: str, hardware: Mapping[str, Any]) -> Refusal | None:
    """Return what is wrong with one argument whatever the others are."""
    if not isinstance(argument, str) or not SAFE.fullmatch(argument):
        wrong = f"{argument!r} is no argument that passes the shell and GRUB unchanged"
        return Refusal(key, wrong, "write one argument an entry, of letters, digits and _ . , : / @ % + = ! - only")
    name, value = name_of(argument), argument.partition("=")[2]
    threads = (hardware.get("cpu") or {}).get("threads_per_core")
    found = _harmful(name, value) or _owned(profile, name) or _misplaced(name, flavour, threads)
    return Refusal(key, f"{argument} {found[0]}", found[1]) if found else None


def _harmful(name: str, value: str) -> tuple[str, str] | None:
    found = (item for item in HARMFUL if name == item.name and (not item.values or value in item.values))
    return next(((item.why, item.right) for item in found), None)


def _owned(profile: str, name: str) -> tuple[str, str] | None:
    if name == name_of(MARK):
        return "marks a trial boot, which the role itself makes", "remove it"
    if name in OWNED:
        return f"belongs to {OWNED[name]}", "write it there"
    mine = next((wanted for wanted in PROFILES[profile] if name_of(wanted.name) == name), None)
    if mine is None:
        return None
    right = "write cpu_isolation instead" if mine.needs == ISOLATION else "remove it, or choose another profile"
    return f"repeats what kernel_profile {profile} decides", right


def _misplaced(name: str, flavour: str, threads: int | None) -> tuple[str, str] | None:
    """Return what an argument contradicts: the kernel's flavour or the hardware."""
    if name == "preempt" and flavour != GENERIC:
        return "is unknown to a realtime kernel", "remove it"
    if name == "nosmt" and threads == 2:
        right = "write cpu_isolation.siblings: offline, or switch SMT off in the firmware and describe the CPUs so"
        return "takes threads offline that hardware.cpu counts", right
    if name == "nosmt" and threads == 1:
        return "does nothing: hardware.cpu has one thread a core", "remove it"
    return None


def _isolation(profile: str, options: Options) -> Iterator[Refusal]:
    """Yield isolcpus beside other lists of nohz_full and rcu_nocbs, where the profile does not own the three."""
    if any(wanted.needs == ISOLATION for wanted in PROFILES[profile]):
        return
    found = {name_of(argument): (key, argument) for key, argument in _entries(options)}
    if "isolcpus" not in found:
        return
    key, argument = found["isolcpus"]
    lists = {name: _cpus(found[name][1]) for name in ("isolcpus", "nohz_full", "rcu_nocbs") if name in found}
    if lists["isolcpus"] is None:
        yield Refusal(
            key, f"{argument} names its CPUs in a way that nobody can check", "write a plain list, such as 2-5"
        )
        return
    for name in ("nohz_full", "rcu_nocbs"):
        if lists.get(name) != lists["isolcpus"]:
            has = f"{found[name][1]} differs" if name in found else f"there is no {name}"
            yield Refusal(key, f"{argument} isolates by half, {has}", "give the three one list, or write cpu_isolation")


def _cpus(argument: object) -> frozenset[int] | None:
    """Return the CPUs of isolcpus=, nohz_full= or rcu_nocbs=, without the flags of the first."""
    try:
        return of_kernel(str(argument).partition("=")[2])
    except CpuListError:
        return None


def _hugepages(options: Options, hardware: Mapping[str, Any]) -> Iterator[Refusal]:
    if not hardware:
        return  # it is described wrongly, which another check reports
    nodes = len((hardware.get("cpu") or {}).get("numa_nodes") or ()) or 1
    wanted = [0] * nodes  # MiB on each node
    seen: set[tuple[str, int | None]] = set()
    for position, entry in enumerate(options.hugepages):
        size, count, node = str(entry.get("size")), entry.get("count", 0), entry.get("node")
        wrong = _entry(size, count, node, nodes) or _twice(seen, size, node)
        if wrong:
            yield Refusal(f"kernel_hugepages.{position}", *wrong)
            continue
        seen.add((size, node))
        for number in range(nodes) if node is None else (node,):
            # Without a node the kernel spreads the pages evenly (hugetlbpage.rst).
            wanted[number] += PAGE_KIB[size] // 1024 * count // (nodes if node is None else 1)
    limit = float(hardware.get("memory_gib") or 0) * 1024 * MEMORY_SHARE / 100
    for number, mib in enumerate(wanted):
        if mib > limit / nodes:
            where = f"of node {number}" if nodes > 1 else "of the host"
            share = f"takes {mib} MiB, more than {MEMORY_SHARE} % {where} ({limit / nodes:.0f} MiB)"
            yield Refusal("kernel_hugepages", share, "take fewer: nothing else can use these pages")


def _entry(size: str, count: Any, node: Any, nodes: int) -> tuple[str, str] | None:
    """Return what is wrong with one entry and what would be right, or None."""
    if size not in PAGE_KIB:
        return f"size {size} does not exist", f"write one of {', '.join(PAGE_KIB)}"
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        return f"count {count} is no number of pages", "write a whole number from 1 on"
    if node is not None and (isinstance(node, bool) or not isinstance(node, int) or not 0 <= node < nodes):
        known = "only node 0" if nodes == 1 else f"nodes 0-{nodes - 1}"
        return f"node {node} does not exist", f"hardware.cpu.numa_nodes has {known}"
    return None


def _twice(seen: set[tuple[str, int | None]], size: str, node: int | None) -> tuple[str, str] | None:
    """Return what is wrong with a further entry of one size: pages of a node beside pages of any node, or again."""
    others = {number for one, number in seen if one == size}
    if node in others:
        return f"has {size} twice" + ("" if node is None else f" for node {node}"), "keep one of them"
    if others and None in {node, *others}:
        return f"has {size} with and without a node", "name a node in each entry of that size, or in none"
    return None
