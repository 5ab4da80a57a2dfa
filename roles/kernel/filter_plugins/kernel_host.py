# SPDX-License-Identifier: Apache-2.0
"""Compare what the inventory says of a machine with what the machine says, and the wishes with what it can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fleet.hardware.cpus import compose, cores, parse
from roles.kernel.module_utils.kernel_words import PAGE_KIB
from roles.kernel.policy.refusals import MEMORY_SHARE

DOCUMENTATION = r"""
name: kernel_host_problems
short_description: Say where a machine is not what the inventory says, and what it cannot do of what is wanted
description:
  - Takes what the module kernel_facts found, and returns problems, one line each. Empty when the machine is as
    described.
  - kernel_notes takes the facts and the wishes, and returns what is left alone because the machine has no such thing.
options:
  _input:
    description: The facts.
    type: dict
    required: true
  hardware:
    description: The host's hardware.
    type: dict
    required: true
  cpu_sets:
    description: The host's cpu_sets.
    type: dict
    required: true
  wanted:
    description: managed, hugepages, governor and energy_preference of the role.
    type: dict
    required: true
"""

EXAMPLES = r"""
problems: "{{ facts | kernel_host_problems(hardware, cpu_sets, {'governor': 'performance'}) }}"
"""

RETURN = r"""
_value:
  description: Problems, one line each.
  type: list
  elements: str
"""

# Installed memory minus what firmware, graphics and the kernel keep: MemTotal is up to an eighth less, never more.
LEAST = 0.85
MOST = 1.02
# GRUB cannot write elsewhere, so a one-shot entry would stand for ever (grub-reboot(8), 00_header).
WRITABLE = frozenset({"ext2", "xfs"})
# With these drivers the governor performance pins the preference (admin-guide/pm/intel_pstate.rst, amd-pstate.rst).
PINNING = frozenset({"intel_pstate", "amd-pstate-epp"})

Facts = Mapping[str, Any]


def _offline(facts: Facts) -> frozenset[int]:
    return parse(facts["cpu"]["present"]) - parse(facts["cpu"]["online"])


def _classes(facts: Facts, cpu: Mapping[str, Any]) -> Iterator[str]:
    seen, offline = facts["cpu"], _offline(facts)
    performance = parse(str(cpu.get("performance_cpus") or ""))
    efficiency = parse(str(cpu.get("efficiency_cpus") or ""))
    present = parse(seen["present"])
    if present != performance | efficiency:
        yield (
            f"hardware.cpu describes CPUs {compose(performance | efficiency)}, the machine has {seen['present']}:"
            " correct it, or look at SMT and core settings of the firmware"
        )
        return
    if not seen["core"]:
        yield from _classes_by_caches(facts, efficiency)
        return
    # The kernel takes a CPU out of these lists when it goes offline (arch/x86/events/intel/core.c).
    for name, described, found in (
        ("performance_cpus", performance, seen["core"]),
        ("efficiency_cpus", efficiency, seen["atom"]),
    ):
        if described - offline != parse(found):
            is_now = compose(described) or "empty"
            sysfs = "/sys/devices/cpu_core" if name == "performance_cpus" else "/sys/devices/cpu_atom"
            yield f"hardware.cpu.{name} is {is_now}, the machine says {found or 'none'} ({sysfs}/cpus): correct it"


def _classes_by_caches(facts: Facts, efficiency: frozenset[int]) -> Iterator[str]:
    """Tell the classes where the kernel does not: efficiency cores share an L2 cache by four (rr-debugger/rr#3906)."""
    seen, offline = facts["cpu"], _offline(facts)
    own = {number: parse(cpus) for number, cpus in seen["siblings"].items()}
    caches = {number: parse(cpus) for number, cpus in seen["caches"].items()}
    shared = frozenset(int(number) for number, cpus in caches.items() if cpus - own.get(number, cpus))
    # A processor of one kind may share its caches, too, and so may what an emulator shows.
    found = frozenset() if seen["guest"] or shared >= parse(seen["online"]) else shared
    if found and found != efficiency - offline:
        yield (
            f"hardware.cpu.efficiency_cpus is {compose(efficiency) or 'empty'}, the machine's caches say"
            f" {compose(found)} (cache/index2/shared_cpu_list): boot a kernel that shows its kinds of cores"
            " (/sys/devices/cpu_atom), compare, and correct it"
        )
    elif efficiency and caches and not found:
        yield (
            f"hardware.cpu.efficiency_cpus is {compose(efficiency)}, the machine shows one kind of cores"
            " (no core shares its L2 cache): correct it, or switch efficiency cores on in the firmware"
        )
    elif not caches and (efficiency or seen["hybrid"]):
        yield (
            "this kernel does not show which CPUs are efficiency cores (no /sys/devices/cpu_core, no cache/index2):"
            " leave hardware.cpu as it is and boot a newer kernel; Core Ultra 200 needs 6.11 or newer"
            " (linux-generic-hwe-24.04 on Ubuntu 24.04; Debian 13 has one)"
        )


def _siblings(facts: Facts, cpu: Mapping[str, Any]) -> Iterator[str]:
    if not cpu.get("threads_per_core"):
        return
    offline = _offline(facts)
    wrong: dict[str, str] = {}
    for core in cores(cpu):
        for number in sorted(core - offline):
            found = facts["cpu"]["siblings"].get(str(number), "")
            if found and parse(found) != core - offline:
                wrong.setdefault(compose(core), f"CPU {number} of it shares a core with {found}")
    if wrong:
        described, is_now = next(iter(wrong.items()))
        yield (
            f"hardware.cpu says that CPUs {described} are one core, the machine says {is_now}"
            f" (thread_siblings_list; {len(wrong)} cores differ): correct threads_per_core or siblings"
        )


def _nodes(facts: Facts, cpu: Mapping[str, Any]) -> Iterator[str]:
    described = [parse(str(node)) for node in cpu.get("numa_nodes") or ()]
    found = {int(number): parse(node["cpus"]) for number, node in facts["nodes"].items() if node["cpus"]}
    offline = _offline(facts)
    if not described and len(found) > 1:
        lists = ", ".join(f'"{compose(cpus)}"' for _, cpus in sorted(found.items()))
        yield f"hardware.cpu.numa_nodes is absent, the machine has {len(found)} nodes: write [{lists}]"
    for number, cpus in enumerate(described):
        if found.get(number, frozenset()) != cpus - offline:
            is_now = compose(found.get(number, frozenset())) or "no such node"
            yield f"hardware.cpu.numa_nodes[{number}] is {compose(cpus)}, the machine says {is_now}: correct it"
    surplus = sorted(number for number in found if described and number >= len(described))
    if surplus:
        yield f"hardware.cpu.numa_nodes describes {len(described)} nodes, the machine has also {surplus}: add them"


def _memory(facts: Facts, hardware: Mapping[str, Any]) -> Iterator[str]:
    described, found = float(hardware.get("memory_gib") or 0), facts["memory_kib"] / 1048576
    if not described * LEAST <= found <= described * MOST:
        yield f"hardware.memory_gib is {described:g}, the machine has {found:.1f} GiB: correct it, or look at the slots"


def _hugepages(facts: Facts, entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for size in sorted({str(entry["size"]) for entry in entries}):
        if PAGE_KIB[size] not in facts["hugepage_kib"]:
            offered = ", ".join(name for name, kib in PAGE_KIB.items() if kib in facts["hugepage_kib"]) or "none"
            yield f"kernel_hugepages wants pages of {size}, the machine offers {offered}"
    places: dict[str, int] = {}
    for entry in entries:
        place = str(entry["node"]) if entry.get("node") is not None else ""
        places[place] = places.get(place, 0) + PAGE_KIB[str(entry["size"])] * int(entry["count"])
    whole = sum(places.values())
    if whole * 100 > facts["memory_kib"] * MEMORY_SHARE:
        yield (
            f"kernel_hugepages takes {whole // 1024} MiB, more than {MEMORY_SHARE} % of the"
            f" {facts['memory_kib'] // 1024} MiB that the machine has: take fewer, nothing else can use these pages"
        )
    for place, kib in sorted(places.items()):
        if not place:
            continue
        node = facts["nodes"].get(place)
        if node is None:
            yield f"kernel_hugepages names node {place}, the machine has {', '.join(sorted(facts['nodes'])) or 'none'}"
        elif kib * 100 > node["memory_kib"] * MEMORY_SHARE:
            yield (
                f"kernel_hugepages takes {kib // 1024} MiB of node {place}, more than {MEMORY_SHARE} % of its"
                f" {node['memory_kib'] // 1024} MiB: take fewer"
            )


def _frequency(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[str]:
    frequency = facts["cpufreq"]
    governor, preference = str(wanted.get("governor") or ""), str(wanted.get("energy_preference") or "")
    driver = frequency["driver"]
    if not driver:
        return  # a guest, or frequency under the firmware's control: the role reports it
    if governor and governor not in frequency["governors"]:
        yield f'kernel_governor is "{governor}", driver {driver} offers {", ".join(frequency["governors"]) or "none"}'
    if (governor or preference) and frequency["owners"]:
        # It starts later in the boot, and nobody looks again (power-profiles-daemon: WantedBy=graphical.target).
        units = " ".join(frequency["owners"])
        yield (
            f"{units} sets the governor at each boot, too: `systemctl mask --now {units}`,"
            " or leave kernel_governor and kernel_energy_preference empty"
        )
    if preference and preference not in frequency["preferences"]:
        offered = ", ".join(frequency["preferences"]) or "none: leave it empty"
        yield f'kernel_energy_preference is "{preference}", driver {driver} offers {offered}'
    elif preference and governor == "performance" != preference and driver in PINNING:
        yield (
            f"kernel_energy_preference is {preference}, and with kernel_governor performance driver {driver}"
            " keeps it at performance: write that, or leave it empty"
        )


def _isolation(facts: Facts, sets: Mapping[str, Any]) -> Iterator[str]:
    isolated, present = parse(str(sets.get("isolated") or "")), parse(facts["cpu"]["present"])
    if not isolated:
        return
    if 0 in isolated:
        yield "cpu_sets.isolated covers CPU 0, which the kernel itself needs: correct cpu_isolation"
    if isolated - present:
        has = facts["cpu"]["present"]
        yield f"cpu_sets.isolated names CPUs {compose(isolated - present)}, the machine has {has}: correct hardware.cpu"
    if not present - isolated:
        yield "cpu_sets.isolated leaves no CPU to keep house: correct cpu_isolation"


def _boot(facts: Facts, wanted: Mapping[str, Any]) -> Iterator[str]:
    grub = facts["grub"]
    if not wanted.get("managed"):
        return
    if grub["missing"]:
        yield f"{', '.join(grub['missing'])} missing: only GRUB can try a kernel line for one boot"
        return
    if grub["fs"] == "fat":
        yield (
            "/boot/grub is on FAT, which has no hard links, and the old grub.cfg is kept by one while it is replaced:"
            " give /boot a partition of its own with ext4, or write kernel_profile: none"
        )
        return
    place = " and ".join(grub["abstraction"].split()) or ("" if grub["fs"] in WRITABLE else grub["fs"] or "unknown")
    if place:
        yield (
            f"/boot/grub is on {place}, where GRUB cannot write, so a trial would boot for ever:"
            " give /boot a partition of its own with ext4, or write kernel_profile: none"
        )


def kernel_host_problems(
    facts: Facts, hardware: Mapping[str, Any], cpu_sets: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[str]:
    """Return where a machine differs from the inventory, and what it cannot do, one line each.

    Args:
        facts: what the module kernel_facts found.
        hardware: the host's hardware.
        cpu_sets: the host's CPU sets.
        wanted: the role's wishes; see DOCUMENTATION.
    """
    cpu = hardware["cpu"]
    classes = list(_classes(facts, cpu))
    # Without the right CPUs the rest would only say the same again.
    return [
        *classes,
        *([] if classes else [*_siblings(facts, cpu), *_nodes(facts, cpu)]),
        *_memory(facts, hardware),
        *_hugepages(facts, wanted.get("hugepages") or ()),
        *_frequency(facts, wanted),
        *_isolation(facts, cpu_sets),
        *_boot(facts, wanted),
    ]


def kernel_notes(facts: Facts, wanted: Mapping[str, Any]) -> list[str]:
    """Return what the role leaves alone because this machine has no such thing, one line each.

    Args:
        facts: what the module kernel_facts found.
        wanted: the role's wishes.
    """
    notes, microcode = [], facts["microcode"]
    if facts["cpu"]["guest"]:
        notes.append("microcode: the machine underneath this guest loads it")
    elif not microcode["package"]:
        notes.append(f"microcode: no package for {facts['cpu']['vendor'] or 'this CPU'}")
    elif not microcode["candidate"]:
        component = "component non-free-firmware (Debian) or restricted (Ubuntu)"
        notes.append(f"microcode: no source of base_apt_sources offers {microcode['package']}; it is in {component}")
    if not facts["cpufreq"]["driver"] and (wanted.get("governor") or wanted.get("energy_preference")):
        notes.append("kernel_governor and kernel_energy_preference: the machine shows no frequency driver")
    return notes


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"kernel_host_problems": kernel_host_problems, "kernel_notes": kernel_notes}
