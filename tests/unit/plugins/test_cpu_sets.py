# SPDX-License-Identifier: Apache-2.0
"""Which CPUs do what on each machine of the fleet, and what no wish can have."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hardware.cpus import compose, cores, parse
from plugins.filter.cpu_sets import cpu_sets

I9_12900H = {"performance_cpus": "0-11", "efficiency_cpus": "12-19", "threads_per_core": 2}
I9_12900H_WITHOUT_SMT = {"performance_cpus": "0-5", "efficiency_cpus": "6-13", "threads_per_core": 1}
ULTRA_9_285K = {"performance_cpus": "0-7", "efficiency_cpus": "8-23", "threads_per_core": 1}
I9_14900K = {"performance_cpus": "0-15", "efficiency_cpus": "16-31", "threads_per_core": 2}  # and the 14900HX
RYZEN_5_5600 = {"performance_cpus": "0-11", "threads_per_core": 2, "siblings": "apart"}
RYZEN_7_5700X = {"performance_cpus": "0-15", "threads_per_core": 2, "siblings": "apart"}
CLOUD_HOST = {"performance_cpus": "0-7"}
SERVER = {"performance_cpus": "0-63", "threads_per_core": 1, "numa_nodes": ["0-31", "32-63"]}
SMALL_CORES_FIRST = {"performance_cpus": "4-7", "efficiency_cpus": "0-3", "threads_per_core": 1}
MAC = {"model": "Apple M4 Pro"}


@pytest.mark.parametrize(
    ("cpu", "wish", "isolated", "housekeeping", "irq"),
    [
        (I9_12900H, {}, "", "0-19", "0-11"),
        (I9_12900H, {"housekeeping_cores": 1}, "2-11", "0-1,12-19", "0-1"),
        (I9_12900H, {"class": "efficiency", "housekeeping_cores": 4}, "16-19", "0-15", "0-11"),
        (I9_12900H, {"class": "efficiency", "housekeeping_cores": 0}, "12-19", "0-11", "0-11"),
        (I9_12900H, {"class": "any", "housekeeping_cores": 1}, "2-19", "0-1", "0-1"),
        (I9_12900H, {"class": "any", "cpus": "2-15"}, "2-15", "0-1,16-19", "0-1"),
        (I9_12900H_WITHOUT_SMT, {"housekeeping_cores": 1}, "1-5", "0,6-13", "0"),
        (I9_12900H_WITHOUT_SMT, {"cpus": "2-5"}, "2-5", "0-1,6-13", "0-1"),
        (ULTRA_9_285K, {"housekeeping_cores": 2, "isolated_cores": 4}, "2-5", "0-1,6-23", "0-1,6-7"),
        (ULTRA_9_285K, {"cpus": "4-7"}, "4-7", "0-3,8-23", "0-3"),
        (ULTRA_9_285K, {"class": "efficiency", "housekeeping_cores": 12}, "20-23", "0-19", "0-7"),
        (I9_14900K, {"isolated_cores": 2}, "2-5", "0-1,6-31", "0-1,6-15"),
        (I9_14900K, {"housekeeping_cores": 4}, "8-15", "0-7,16-31", "0-7"),
        (RYZEN_5_5600, {"housekeeping_cores": 1}, "1-5,7-11", "0,6", "0,6"),
        (RYZEN_5_5600, {"isolated_cores": 2}, "1-2,7-8", "0,3-6,9-11", "0,3-6,9-11"),
        (RYZEN_7_5700X, {"housekeeping_cores": 4}, "4-7,12-15", "0-3,8-11", "0-3,8-11"),
        (CLOUD_HOST, {}, "", "0-7", "0-7"),
        (CLOUD_HOST | {"threads_per_core": 2}, {"housekeeping_cores": 2}, "4-7", "0-3", "0-3"),
        (SERVER, {"numa_node": 1}, "32-63", "0-31", "0-31"),
        (SERVER, {"numa_node": 0, "housekeeping_cores": 2}, "2-31", "0-1,32-63", "0-1,32-63"),
        (SERVER, {"housekeeping_cores": 8, "isolated_cores": 4, "numa_node": 1}, "32-35", "0-31,36-63", "0-31,36-63"),
        (SMALL_CORES_FIRST, {"class": "any", "housekeeping_cores": 4}, "4-7", "0-3", "0-3"),
        (SMALL_CORES_FIRST, {"housekeeping_cores": 1}, "5-7", "0-4", "4"),
        (MAC, {}, "", "", ""),
    ],
)
def test_each_machine_is_divided_as_its_cores_allow(cpu, wish, isolated, housekeeping, irq):
    sets = cpu_sets(cpu, wish)
    assert sets["problems"] == []
    assert (sets["isolated"], sets["housekeeping"], sets["irq"]) == (isolated, housekeeping, irq)


@pytest.mark.parametrize(
    ("siblings", "feed", "risk", "idle", "offline"),
    [
        ("run", "2-5", "6-7", "", ""),
        ("idle", "2,4", "6", "3,5,7,9,11", ""),
        ("offline", "2,4", "6", "3,5,7,9,11", "3,5,7,9,11"),
    ],
)
def test_services_get_whole_cores_in_order_and_idle_threads_to_nobody(siblings, feed, risk, idle, offline):
    sets = cpu_sets(I9_12900H, {"siblings": siblings, "services": {"feed": 2, "risk": 1}})
    assert sets["isolated"] == "2-11"
    assert sets["services"] == {"feed": feed, "risk": risk}
    assert (sets["idle"], sets["offline"]) == (idle, offline)


def test_siblings_that_are_apart_go_to_one_service():
    sets = cpu_sets(RYZEN_5_5600, {"services": {"feed": 1, "risk": 2}})
    assert sets["services"] == {"feed": "1,7", "risk": "2-3,8-9"}


def test_without_hyper_threading_no_thread_is_idle():
    sets = cpu_sets(ULTRA_9_285K, {"siblings": "offline", "isolated_cores": 2})
    assert (sets["idle"], sets["offline"], sets["problems"]) == ("", "", [])


LISTS = [
    (
        I9_12900H,
        {"cpus": "2-13"},
        '.cpus "2-13" takes 12-13 of efficiency cores: mixes core classes; take "2-11" or "2-15" with class: any',
    ),
    (
        I9_12900H,
        {"cpus": "2-13", "class": "any"},
        '.cpus "2-13" takes 12-13 out of the efficiency cores 12-15, which share one L2 cache; take "2-11" or "2-15"',
    ),
    (
        I9_12900H_WITHOUT_SMT,
        {"cpus": "2-13"},
        '.cpus "2-13" takes 6-13 of efficiency cores: mixes core classes; take "2-5" or "2-13" with class: any',
    ),
    (
        I9_12900H,
        {"cpus": "12-15"},
        '.cpus "12-15" takes 12-15 of efficiency cores, and the class is performance; '
        'take "12-15" with class: efficiency',
    ),
    (
        I9_12900H,
        {"cpus": "2-3", "class": "efficiency"},
        '.cpus "2-3" takes 2-3 of performance cores, and the class is efficiency; take "2-3" with class: performance',
    ),
    (
        I9_12900H,
        {"cpus": "3-6"},
        '.cpus "3-6" splits the sibling threads 2/3, 6/7 of a core; take "4-5" or "2-7"',
    ),
    (
        RYZEN_5_5600,
        {"cpus": "2-3"},
        '.cpus "2-3" splits the sibling threads 2/8, 3/9 of a core; take "2-3,8-9"',
    ),
    (
        I9_12900H,
        {"cpus": "0-3"},
        '.cpus "0-3" takes CPU 0, which boots and keeps the time of the others; take "2-3"',
    ),
    (
        I9_12900H,
        {"cpus": "1"},
        '.cpus "1" splits the sibling threads 0/1 of a core; take whole cores that the host has, without that of CPU 0',
    ),
    (ULTRA_9_285K, {"cpus": "6-7,30"}, '.cpus "6-7,30" names CPUs 30, the host has 0-23; take "6-7"'),
    (SERVER, {"cpus": "30-35", "numa_node": 1}, '.cpus "30-35" takes 30-31 outside of node 1; take "32-35"'),
    (I9_12900H, {"cpus": "two"}, '.cpus "two" is no CPU list; write a Linux CPU list such as "2-5"'),
    (
        I9_12900H,
        {"cpus": "2-5", "isolated_cores": 3},
        '.cpus "2-5" is not what housekeeping_cores and isolated_cores count, "2-7"; keep the list or the counts',
    ),
]
COUNTS = [
    (
        I9_12900H,
        {"housekeeping_cores": 0},
        ".housekeeping_cores 0 would isolate CPU 0, which boots and keeps the time of the others; write 1 or more",
    ),
    (
        I9_12900H,
        {"housekeeping_cores": 6},
        ".housekeeping_cores 6 leaves none of the 6 performance cores to isolate; write 5 at most",
    ),
    (
        SERVER,
        {"housekeeping_cores": 32, "numa_node": 0},
        ".housekeeping_cores 32 leaves none of the 64 cores to isolate on node 0; write 31 at most",
    ),
    (
        I9_12900H,
        {"isolated_cores": 6},
        ".isolated_cores 6 is more than the 5 performance cores that housekeeping leaves; "
        "write 5 at most, or 0 for all of them",
    ),
    (RYZEN_5_5600, {"class": "efficiency"}, ".class efficiency: the host has no such cores; choose another class"),
    (
        I9_12900H,
        {"class": "efficiency"},
        ".housekeeping_cores 1 takes 13-15 out of the efficiency cores 12-15, which share one L2 cache; "
        'take whole modules: cpus: "16-19" instead of counting',
    ),
    (
        I9_12900H,
        {"class": "any", "isolated_cores": 6},
        ".isolated_cores 6 takes 12 out of the efficiency cores 12-15, which share one L2 cache; "
        'take whole modules: cpus: "2-11" instead of counting',
    ),
    (SERVER, {"numa_node": 2}, ".numa_node 2 does not exist; hardware.cpu.numa_nodes has nodes 0-1"),
    (I9_12900H, {"numa_node": 1}, ".numa_node 1 does not exist; hardware.cpu.numa_nodes has only node 0"),
    (
        CLOUD_HOST,
        {"isolated_cores": 1},
        " takes whole cores, and siblings are unknown until seen; "
        "set hardware.cpu.threads_per_core (lscpu: threads per core) or remove cpu_isolation",
    ),
    (
        I9_12900H,
        {"isolated_cores": 2, "services": {"feed": 2, "risk": 1}},
        ".services want 3 cores (feed 2, risk 1) and 2 are isolated; ask for 2 at most or isolate more",
    ),
]
WORDS = [
    (I9_12900H, {"isolatd_cores": 2}, ".isolatd_cores is an unknown key; did you mean isolated_cores?"),
    (I9_12900H, {"class": "fast"}, '.class "fast" is no choice; write one of performance, efficiency, any'),
    (I9_12900H, {"siblings": "off"}, '.siblings "off" is no choice; write one of run, idle, offline'),
    (
        I9_12900H,
        {"housekeeping_cores": True},
        ".housekeeping_cores True is no number of cores; write a whole number such as 1",
    ),
    (I9_12900H, {"isolated_cores": -1}, ".isolated_cores -1 is no number of cores; write a whole number such as 0"),
    (I9_12900H, {"services": ["feed"]}, ".services ['feed'] is no dictionary; write name: number of cores"),
    (
        I9_12900H,
        {"services": {"feed": 0}},
        ".services.feed 0 is no number of cores; write a whole number from 1 on",
    ),
    (
        I9_12900H,
        {"services": {"Feed it": 1}},
        '.services has a service "Feed it"; a name is lower-case letters, digits and _',
    ),
    (
        {"performance_cpus": "0-2", "threads_per_core": 2},
        {"isolated_cores": 1},
        ' cannot be planned: hardware.cpu: "0-2" does not divide into cores of 2 threads; mend hardware.cpu',
    ),
    (
        {"performance_cpus": "4-7", "threads_per_core": 1},
        {"cpus": "4-7"},
        " leaves no CPU for everything else; isolate fewer cores",
    ),
]


@pytest.mark.parametrize(("cpu", "wish", "line"), [*LISTS, *COUNTS, *WORDS])
def test_what_a_host_cannot_do_is_refused_in_one_line_with_the_remedy(cpu, wish, line):
    sets = cpu_sets(cpu, wish)
    assert sets["problems"] == [f"cpu_isolation{line}"]
    assert sets["isolated"] == ""


def test_a_refused_wish_leaves_its_services_empty_so_that_templates_reach_the_refusal():
    sets = cpu_sets(I9_12900H, {"cpus": "0", "services": {"feed": 1}})
    assert sets["services"] == {"feed": ""}
    assert sets["housekeeping"] == "0-19"


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    threads = draw(st.sampled_from([1, 2]))
    last = draw(st.integers(1, 10)) * threads - 1
    small = draw(st.integers(0, 9))
    cpu: dict[str, Any] = {
        "performance_cpus": f"0-{last}",
        "efficiency_cpus": compose(range(last + 1, last + 1 + small)),
        "threads_per_core": threads,
        "siblings": draw(st.sampled_from(["adjacent", "apart"])),
    }
    if draw(st.booleans()):
        found = cores(cpu)
        middle = draw(st.integers(1, len(found)))
        cpu["numa_nodes"] = [compose(frozenset().union(*part)) for part in (found[:middle], found[middle:]) if part]
    return cpu


WISHES = st.fixed_dictionaries(
    {},
    optional={
        "class": st.sampled_from(["performance", "efficiency", "any"]),
        "housekeeping_cores": st.integers(0, 4),
        "isolated_cores": st.integers(0, 4),
        "siblings": st.sampled_from(["run", "idle", "offline"]),
        "numa_node": st.integers(0, 1),
        "services": st.dictionaries(st.sampled_from(["feed", "risk", "execution"]), st.integers(1, 2), max_size=3),
    },
)
LISTED = st.frozensets(st.integers(0, 32), min_size=1).map(compose)


@given(machines(), WISHES)
def test_isolated_and_housekeeping_are_the_machine_and_cpu_0_keeps_house(cpu, wish):
    sets = cpu_sets(cpu, wish)
    isolated, housekeeping = parse(sets["isolated"]), parse(sets["housekeeping"])
    assert not isolated & housekeeping
    assert isolated | housekeeping == frozenset().union(*cores(cpu))
    assert 0 in housekeeping
    assert not (sets["problems"] and isolated)
    assert bool(sets["problems"]) or bool(isolated) == bool(wish)
    assert parse(sets["irq"])
    assert parse(sets["irq"]) <= housekeeping


@given(machines(), WISHES)
def test_no_core_and_no_module_of_efficiency_cores_is_split(cpu, wish):
    isolated = parse(cpu_sets(cpu, wish)["isolated"])
    assert all(core <= isolated or not core & isolated for core in cores(cpu))
    small = sorted(parse(cpu["efficiency_cpus"]))
    for module in (frozenset(small[first : first + 4]) for first in range(0, len(small), 4)):
        assert module <= isolated or not module & isolated


@given(machines(), WISHES)
def test_classes_are_mixed_and_nodes_are_left_only_when_asked(cpu, wish):
    isolated, small = parse(cpu_sets(cpu, wish)["isolated"]), parse(cpu["efficiency_cpus"])
    if wish.get("class") == "efficiency":
        assert isolated <= small
    elif wish.get("class") != "any":
        assert not isolated & small
    if isolated and "numa_node" in wish and "numa_nodes" in cpu:
        assert isolated <= parse(cpu["numa_nodes"][wish["numa_node"]])


@given(machines(), WISHES)
def test_services_are_disjoint_whole_cores_of_the_isolated_ones_without_idle_threads(cpu, wish):
    sets = cpu_sets(cpu, wish)
    if sets["problems"]:
        assert set(sets["services"].values()) <= {""}
        return
    isolated, idle = parse(sets["isolated"]), parse(sets["idle"])
    taken: frozenset[int] = frozenset()
    for name, number in wish.get("services", {}).items():
        share = parse(sets["services"][name])
        assert share <= isolated - idle - taken
        assert sum(bool(core & share) for core in cores(cpu)) == number
        assert all(core & share in (frozenset(), core - idle) for core in cores(cpu))
        taken |= share
    assert idle <= isolated
    assert sets["offline"] == (sets["idle"] if wish.get("siblings") == "offline" else "")


@given(machines(), WISHES)
def test_every_list_is_as_the_kernel_prints_it_and_the_same_wish_has_the_same_result(cpu, wish):
    sets = cpu_sets(cpu, wish)
    lists = [sets[key] for key in ("isolated", "housekeeping", "irq", "idle", "offline")]
    assert all(compose(parse(text)) == text for text in (*lists, *sets["services"].values()))
    assert cpu_sets(dict(cpu), dict(wish)) == sets


@given(machines(), WISHES, st.booleans())
def test_a_list_of_what_was_counted_gives_the_same_sets_with_and_without_the_counts(cpu, wish, keep):
    counted = cpu_sets(cpu, wish)
    if not counted["isolated"]:
        assert counted["problems"] or not wish
        return
    rest = {key: value for key, value in wish.items() if keep or not key.endswith("_cores")}
    assert cpu_sets(cpu, {**rest, "cpus": counted["isolated"]}) == counted


@given(machines(), LISTED, st.sampled_from(["performance", "efficiency", "any"]), st.sampled_from([None, 0, 1]))
def test_a_list_is_taken_as_it_is_or_refused_and_each_remedy_is_accepted(cpu, text, core_class, node):
    wish = {"cpus": text, "class": core_class, "numa_node": node}
    sets = cpu_sets(cpu, wish)
    if not sets["problems"]:
        assert sets["isolated"] == text
        return
    (line,) = sets["problems"]
    remedy = line.rpartition("; take ")[2]
    for offer, _, other in re.findall(r'"([\d,-]+)"( with class: (\w+))?', remedy if "; take " in line else ""):
        again = cpu_sets(cpu, {**wish, "cpus": offer, "class": other or core_class})
        assert again["problems"] == []


@given(machines(), st.integers(0, 6), st.integers(0, 6), st.sampled_from(["efficiency", "any"]))
def test_a_module_that_a_count_cuts_is_refused_with_a_list_that_is_accepted(cpu, housekeeping, isolated, core_class):
    counts = {"housekeeping_cores": housekeeping, "isolated_cores": isolated}
    problems = cpu_sets(cpu, {"class": core_class, **counts})["problems"]
    found = re.search(r'cpus: "([\d,-]+)" instead of counting', problems[0] if problems else "")
    if found:
        assert cpu_sets(cpu, {"class": core_class, "cpus": found[1]})["problems"] == []
    else:
        assert not problems or "cache" not in problems[0]
