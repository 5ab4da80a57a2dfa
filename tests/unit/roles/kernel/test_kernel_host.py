# SPDX-License-Identifier: Apache-2.0
"""A machine that is as described passes; each way in which it is not is named."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hardware.cpus import compose, cores, parse
from plugins.filter.cpu_sets import cpu_sets
from roles.kernel.filter_plugins.kernel_host import kernel_host_problems, kernel_notes

GIB = 1048576
I9_12900H = {"performance_cpus": "0-11", "efficiency_cpus": "12-19", "threads_per_core": 2}
ULTRA_285K = {"performance_cpus": "0-7", "efficiency_cpus": "8-23", "threads_per_core": 1}
VPS = {"performance_cpus": "0-7"}
SERVER = {"performance_cpus": "0-63", "threads_per_core": 1, "numa_nodes": ["0-31", "32-63"]}
RYZEN = {"performance_cpus": "0-11", "threads_per_core": 2, "siblings": "apart"}
MACHINES = [I9_12900H, ULTRA_285K, VPS, SERVER, RYZEN]
WANTED = {"managed": True, "hugepages": [], "governor": "performance", "energy_preference": "", "flavour": "generic"}


def facts(cpu, memory_gib=64, offline=frozenset()) -> dict[str, Any]:
    """What a machine says that is as described, with some CPUs taken offline."""
    performance, efficiency = parse(cpu["performance_cpus"]), parse(cpu.get("efficiency_cpus", ""))
    present = performance | efficiency
    online = present - offline
    siblings = {str(number): compose(core - offline) for core in cores(cpu) for number in core - offline}
    fours = [sorted(efficiency)[start : start + 4] for start in range(0, len(efficiency), 4)]
    caches = siblings | {
        str(number): compose(frozenset(four) - offline) for four in fours for number in four if number not in offline
    }
    nodes = [parse(node) for node in cpu.get("numa_nodes", [compose(present)])]
    return {
        "cpu": {
            "core": compose(performance - offline) if efficiency else "",
            "atom": compose(efficiency - offline),
            "present": compose(present),
            "online": compose(online),
            "siblings": siblings,
            "caches": caches,
            "hybrid": bool(efficiency),
            "vendor": "GenuineIntel",
            "guest": False,
        },
        "nodes": {
            str(number): {"cpus": compose(node - offline), "memory_kib": memory_gib * GIB // len(nodes)}
            for number, node in enumerate(nodes)
        },
        "memory_kib": int(memory_gib * GIB * 0.97),
        "hugepage_kib": [2048, 1048576],
        "cpufreq": {
            "driver": "intel_pstate",
            "governors": ["performance", "powersave"],
            "preferences": ["default", "performance", "balance_performance"],
            "owners": [],
        },
        "grub": {"missing": [], "abstraction": "", "fs": "ext2"},
        "microcode": {"package": "intel-microcode", "installed": "", "candidate": "3.2"},
    }


def problems(cpu, seen=None, wanted=None, sets=None, **hardware) -> list[str]:
    sets = sets or cpu_sets(cpu, {})
    seen = facts(cpu) if seen is None else seen
    found: list[str] = kernel_host_problems(
        seen, {"cpu": cpu, "memory_gib": 64, **hardware}, sets, WANTED | (wanted or {})
    )
    return found


@pytest.mark.parametrize("cpu", MACHINES)
def test_a_machine_as_described_passes(cpu):
    assert problems(cpu) == []


@given(st.sampled_from(MACHINES), st.data())
def test_cpus_that_are_offline_change_nothing(cpu, data):
    everything = parse(cpu["performance_cpus"]) | parse(cpu.get("efficiency_cpus", ""))
    offline = data.draw(st.frozensets(st.sampled_from(sorted(everything - {0})), max_size=5))
    assert problems(cpu, facts(cpu, offline=offline)) == []


@given(st.sampled_from(MACHINES), st.sampled_from(MACHINES))
def test_every_other_machine_is_refused(described, real):
    same = facts(described) == facts(real)
    assert bool(problems(described, facts(real))) == (not same)


@pytest.mark.parametrize(
    ("cpu", "change", "message"),
    [
        (I9_12900H, {"cpu": {"present": "0-13", "online": "0-13"}}, "describes CPUs 0-19, the machine has 0-13"),
        (
            I9_12900H,
            {"cpu": {"core": "", "atom": "", "caches": {str(n): str(n) for n in range(20)}}},
            "the machine shows one kind of cores",
        ),
        (I9_12900H, {"cpu": {"core": "0-7", "atom": "8-19"}}, "performance_cpus is 0-11, the machine says 0-7"),
        (I9_12900H, {"cpu": {"siblings": {"0": "0,6", "1": "1,7"}}}, "CPUs 0-1 are one core, the machine says CPU 0"),
        (
            VPS,
            {"nodes": {"0": {"cpus": "0-3"}, "1": {"cpus": "4-7"}}},
            'numa_nodes is absent, the machine has 2 nodes: write ["0-3", "4-7"]',
        ),
        (SERVER, {"nodes": {"1": {"cpus": "32-62"}}}, "numa_nodes[1] is 32-63, the machine says 32-62"),
        (SERVER, {"nodes": {"2": {"cpus": "64", "memory_kib": 1}}}, "describes 2 nodes, the machine has also [2]"),
        (VPS, {"memory_kib": 32 * GIB}, "memory_gib is 64, the machine has 32.0 GiB"),
        (VPS, {"memory_kib": 80 * GIB}, "memory_gib is 64, the machine has 80.0 GiB"),
        (VPS, {"grub": {"missing": ["grub-reboot"]}}, "grub-reboot missing: only GRUB can try"),
        (VPS, {"grub": {"abstraction": "lvm"}}, "/boot/grub is on lvm, where GRUB cannot write"),
        (VPS, {"grub": {"fs": "btrfs"}}, "/boot/grub is on btrfs"),
        (VPS, {"grub": {"fs": ""}}, "/boot/grub is on unknown"),
        (VPS, {"grub": {"fs": "fat"}}, "/boot/grub is on FAT, which has no hard links"),
    ],
)
def test_what_differs_is_named(cpu, change, message):
    seen = copy.deepcopy(facts(cpu))
    for key, value in change.items():
        if not isinstance(value, dict):
            seen[key] = value
        elif key == "nodes":
            for number, node in value.items():
                seen[key].setdefault(number, {"memory_kib": 1}).update(node)
        else:
            seen[key].update(value)
    lines = problems(cpu, seen)
    assert any(message in line for line in lines), lines


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"governor": "ondemand"}, 'kernel_governor is "ondemand", driver intel_pstate offers performance, powersave'),
        ({"energy_preference": "power"}, 'kernel_energy_preference is "power", driver intel_pstate offers default'),
        ({"energy_preference": "balance_performance"}, "keeps it at performance"),
        ({"hugepages": [{"size": "2M", "count": 30000}]}, "takes 60000 MiB, more than 80 % of the 63569 MiB"),
        ({"hugepages": [{"size": "1G", "count": 1, "node": 1}]}, "names node 1, the machine has 0"),
    ],
)
def test_what_the_machine_cannot_do_is_named(wanted, message):
    (line,) = problems(VPS, wanted=wanted)
    assert message in line


def test_pages_of_one_node_are_compared_with_its_memory():
    (line,) = problems(SERVER, wanted={"hugepages": [{"size": "1G", "count": 30, "node": 1}]})
    assert line == "kernel_hugepages takes 30720 MiB of node 1, more than 80 % of its 32768 MiB: take fewer"


def test_pages_that_the_processor_lacks_are_named():
    seen = facts(VPS) | {"hugepage_kib": [2048]}
    (line,) = problems(VPS, seen, {"hugepages": [{"size": "1G", "count": 1}]})
    assert line == "kernel_hugepages wants pages of 1G, the machine offers 2M"


@pytest.mark.parametrize(
    ("isolated", "message"),
    [("0-1", "covers CPU 0"), ("6-9", "names CPUs 8-9, the machine has 0-7"), ("0-7", "leaves no CPU to keep house")],
)
def test_an_isolated_set_that_the_machine_cannot_have_is_named(isolated, message):
    assert message in " ".join(problems(VPS, sets={"isolated": isolated}))


def test_a_stock_host_needs_no_grub():
    seen = facts(VPS) | {"grub": {"missing": ["grub-reboot"], "abstraction": "", "fs": ""}}
    assert problems(VPS, seen, {"managed": False}) == []


def test_a_machine_without_a_frequency_driver_is_left_alone_and_said_so():
    seen = facts(VPS) | {"cpufreq": {"driver": "", "governors": [], "preferences": []}}
    assert problems(VPS, seen) == []
    assert kernel_notes(seen, WANTED) == [
        "kernel_governor and kernel_energy_preference: the machine shows no frequency driver"
    ]
    assert kernel_notes(seen, WANTED | {"governor": ""}) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cpu": {"guest": True, "vendor": "GenuineIntel"}}, "the machine underneath this guest loads it"),
        ({"microcode": {"package": "", "candidate": ""}}, "no package for GenuineIntel"),
        ({"microcode": {"package": "intel-microcode", "candidate": ""}}, "no source of base_apt_sources offers"),
    ],
)
def test_microcode_that_cannot_be_had_is_reported(change, message):
    (line,) = kernel_notes(facts(VPS) | change, WANTED)
    assert message in line


# Ubuntu 24.04's first kernel, 6.8, on an Arrow Lake: it has one kind of counters for all cores.
OLD = {"core": "", "atom": ""}
MISTAKEN = {"performance_cpus": "0-23", "threads_per_core": 1}


def seen_by_an_old_kernel(**changes: Any) -> dict[str, Any]:
    seen = facts(ULTRA_285K)
    seen["cpu"] |= OLD | changes
    return seen


def test_where_the_kernel_does_not_show_the_kinds_of_cores_their_caches_do():
    assert problems(ULTRA_285K, seen_by_an_old_kernel()) == []


def test_a_list_without_efficiency_cores_is_refused_by_the_caches():
    (problem,) = problems(MISTAKEN, seen_by_an_old_kernel())
    assert "efficiency_cpus is empty, the machine's caches say 8-23" in problem


def test_another_numbering_is_refused_by_the_caches():
    swapped = {"performance_cpus": "16-23", "efficiency_cpus": "0-15", "threads_per_core": 1}
    (problem,) = problems(swapped, seen_by_an_old_kernel())
    assert "efficiency_cpus is 0-15, the machine's caches say 8-23" in problem


@pytest.mark.parametrize("described", [ULTRA_285K, MISTAKEN])
def test_without_any_evidence_a_newer_kernel_is_the_way_and_never_another_list(described):
    (problem,) = problems(described, seen_by_an_old_kernel(caches={}))
    assert "leave hardware.cpu as it is and boot a newer kernel" in problem
    assert "linux-generic-hwe-24.04" in problem


def test_a_processor_of_one_kind_needs_no_evidence():
    seen = facts(RYZEN)
    seen["cpu"]["caches"] = {}
    assert problems(RYZEN, seen) == []


def test_cores_that_all_share_their_cache_are_one_kind():
    n305 = {"performance_cpus": "0-7", "threads_per_core": 1}
    seen = facts(n305)
    seen["cpu"]["caches"] = {str(n): "0-3" if n < 4 else "4-7" for n in range(8)}
    assert problems(n305, seen) == []


@pytest.mark.parametrize(("wish", "refused"), [({}, True), ({"governor": ""}, False)])
def test_a_second_owner_of_the_governor_is_refused_by_name_where_the_role_sets_it(wish, refused):
    seen = facts(ULTRA_285K)
    seen["cpufreq"]["owners"] = ["power-profiles-daemon.service"]
    found = problems(ULTRA_285K, seen, wish)
    assert bool(found) == refused
    assert all("systemctl mask --now power-profiles-daemon.service" in problem for problem in found)
