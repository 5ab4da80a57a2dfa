# SPDX-License-Identifier: Apache-2.0
"""The command line of each profile, word for word, and what may not stand on it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.kernel.filter_plugins.kernel_arguments import kernel_arguments
from roles.kernel.module_utils.kernel_words import name_of
from roles.kernel.policy.line import PROFILES, Options
from roles.kernel.policy.refusals import HARMFUL, OWNED, SAFE, refusals

SETS = {"isolated": "2-5", "housekeeping": "0-1,6-23"}
NOTHING = {"isolated": "", "housekeeping": "0-7"}
HARDWARE = {"memory_gib": 64, "cpu": {"performance_cpus": "0-11", "threads_per_core": 2}}
SERVER = {"memory_gib": 100, "cpu": {"performance_cpus": "0-63", "numa_nodes": ["0-31", "32-63"]}}
ISOLATION = "isolcpus=managed_irq,domain,2-5 nohz_full=2-5 rcu_nocbs=2-5 irqaffinity=0-1,6-23"
QUIET_CPUS = "skew_tick=1 rcupdate.rcu_normal_after_boot=1"


def line(profile: str, sets: dict[str, str], **options: Any) -> str:
    return " ".join(kernel_arguments(profile, sets, options))


def problems(*arguments: Any, profile: str = "none", sets: dict[str, str] = NOTHING, **options: Any) -> list[str]:
    hardware = options.pop("hardware", HARDWARE)
    options = {"arguments": {"kernel_arguments": list(arguments)}, **options}
    return [str(refusal) for refusal in refusals(profile, sets, Options.read(options), hardware)]


@pytest.mark.parametrize("profile", ["trading", "hft"])
@pytest.mark.parametrize(
    ("sets", "flavour", "words"),
    [
        (SETS, "generic", f"{ISOLATION} {QUIET_CPUS} tsc=nowatchdog preempt=full transparent_hugepage=never"),
        (SETS, "realtime", f"{ISOLATION} {QUIET_CPUS} tsc=nowatchdog"),
        (NOTHING, "generic", f"{QUIET_CPUS} tsc=nowatchdog preempt=full transparent_hugepage=never"),
        (NOTHING, "realtime", f"{QUIET_CPUS} tsc=nowatchdog"),
    ],
)
def test_a_latency_profile_isolates_what_is_isolated_and_leaves_a_realtime_kernel_its_own(
    profile, sets, flavour, words
):
    assert line(profile, sets, flavour=flavour) == f"{words} pcie_aspm.policy=performance"


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("none", ""),
        ("cloud", f"{QUIET_CPUS} transparent_hugepage=madvise"),
        ("inference", "transparent_hugepage=madvise"),
    ],
)
def test_the_other_profiles_are_small(profile, words):
    assert line(profile, NOTHING) == words


@pytest.mark.parametrize(
    ("version", "flavour", "wrong"),
    [
        ("", "realtime", ""),
        ("6.12.1-amd64", "generic", ""),
        ("6.12.1-rt-amd64", "realtime", ""),
        ("6.8.1-1015-realtime", "realtime", ""),
        ("6.12.1-rt-amd64", "generic", "6.12.1-rt-amd64 is a realtime kernel, and kernel_flavour is generic"),
        ("6.8.1-1015-realtime", "generic", "6.8.1-1015-realtime is a realtime kernel, and kernel_flavour is generic"),
        ("6.12.1-amd64", "realtime", "6.12.1-amd64 is a generic kernel, and kernel_flavour is realtime"),
    ],
)
def test_a_pinned_release_is_of_the_wanted_flavour(version, flavour, wrong):
    expected = [f"kernel_version: {wrong}; write another release, or the other flavour"] if wrong else []
    assert problems(version=version, flavour=flavour) == expected


def test_every_argument_of_every_profile_has_a_source():
    for profile, wanted in PROFILES.items():
        assert len({name_of(argument.name) for argument in wanted}) == len(wanted), profile
        assert all(len(argument.source) > 20 for argument in wanted), profile


def test_the_table_of_profiles_cannot_be_changed():
    with pytest.raises(TypeError):
        PROFILES["none"] = ()  # type: ignore[index]


def test_a_profile_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match='"fast" does not exist; write one of none, cloud'):
        kernel_arguments("fast", NOTHING, {})


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([{"size": "2M", "count": 1024}], "default_hugepagesz=2M hugepagesz=2M hugepages=1024"),
        ([{"size": "1G", "count": 4}], "hugepagesz=1G hugepages=4"),
        (
            [{"size": "1G", "count": 4}, {"size": "2M", "count": 8}],
            "default_hugepagesz=2M hugepagesz=2M hugepages=8 hugepagesz=1G hugepages=4",
        ),
        (
            [{"size": "2M", "count": 8, "node": 1}, {"size": "2M", "count": 16, "node": 0}],
            "default_hugepagesz=2M hugepagesz=2M hugepages=0:16,1:8",
        ),
        ([{"size": "1G", "count": 2, "node": 1}], "hugepagesz=1G hugepages=1:2"),
    ],
)
def test_huge_pages_follow_their_size_and_name_nodes_where_given(pages, words):
    assert line("none", NOTHING, hugepages=pages) == words
    assert problems(hugepages=pages, hardware=SERVER) == []


def test_transparent_huge_pages_are_overridden_once_except_on_a_realtime_kernel_which_has_none():
    assert line("inference", NOTHING, transparent_hugepages="never") == "transparent_hugepage=never"
    assert line("none", NOTHING, transparent_hugepages="madvise") == "transparent_hugepage=madvise"
    assert line("hft", NOTHING, transparent_hugepages="always").count("transparent_hugepage") == 1
    assert "transparent_hugepage" not in line("hft", NOTHING, transparent_hugepages="always", flavour="realtime")


def test_arguments_of_roles_and_policy_come_last_in_their_order():
    declared = {"nic": ["iommu=pt"], "kernel_arguments": ["console=tty0", "quiet"], "xdp": []}
    assert line("inference", NOTHING, arguments=declared).endswith("=madvise iommu=pt console=tty0 quiet")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("idle=poll", "switches Turbo off on Intel"),
        ("nohz_full=all", "leaves CPU 0 alone"),
        ("nohz-full=all", "leaves CPU 0 alone"),
        ("rcu_nocbs=all", "those that keep house"),
        ("pcie_aspm=off", "write pcie_aspm.policy=performance"),
        ("mitigations=off", "exposes the host"),
        ("intel_pstate=performance", "set kernel_governor: performance"),
        ("intel_pstate=disable", "HWP"),
        ("processor.max_cstate=1", "set kernel_idle_latency_us"),
        ("intel_idle.max_cstate=0", "falls back to acpi_idle"),
        ("rcutree.enable_rcu_lazy=1", "delaying grace periods"),
        ("nohz=on", "is the default"),
        ("nosmt", "cpu_isolation.siblings: offline"),
        ("transparent_hugepage=never", "belongs to kernel_transparent_hugepages"),
        ("hugepages=4", "belongs to kernel_hugepages"),
        ("fleet.trial=1", "marks a trial boot"),
    ],
)
def test_what_guides_recommend_and_this_fleet_does_not_get_is_refused_with_the_reason(argument, words):
    (found,) = problems(argument)
    assert found.startswith(f"kernel_arguments.0: {argument} ")
    assert words in found


@pytest.mark.parametrize(
    "argument", ["intel_idle.max_cstate=1", "intel_pstate=passive", "mitigations=auto", "idle=halt"]
)
def test_other_values_of_the_same_parameters_are_allowed(argument):
    assert problems(argument) == []


def test_nosmt_is_judged_by_the_hardware():
    one, unseen = ({"memory_gib": 1, "cpu": cpu} for cpu in ({"threads_per_core": 1}, {}))
    assert problems("nosmt=force", hardware=one) == [
        "kernel_arguments.0: nosmt=force does nothing: hardware.cpu has one thread a core; remove it"
    ]
    assert problems("nosmt", hardware=unseen) == []


@pytest.mark.parametrize(
    ("argument", "right"),
    [
        ("isolcpus=2-3", "write cpu_isolation instead"),
        ("nohz_full=2-3", "write cpu_isolation instead"),
        ("skew-tick=1", "remove it, or choose another profile"),
        ("preempt=voluntary", "remove it, or choose another profile"),
        ("pcie_aspm.policy=default", "remove it, or choose another profile"),
    ],
)
def test_what_the_profile_decides_is_not_repeated_however_it_is_spelt(argument, right):
    assert problems(argument, profile="hft") == [
        f"kernel_arguments.0: {argument} repeats what kernel_profile hft decides; {right}"
    ]


def test_preempt_is_unknown_to_a_realtime_kernel():
    assert problems("preempt=full") == []
    assert problems("preempt=full", flavour="realtime") == [
        "kernel_arguments.0: preempt=full is unknown to a realtime kernel; remove it"
    ]


def test_isolated_cpus_need_a_profile_that_isolates():
    assert problems(profile="cloud", sets=SETS) == [
        "kernel_profile: cloud isolates no CPUs, and cpu_isolation wants 2-5; "
        "write trading or hft, or remove cpu_isolation"
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["isolcpus=2-3"], ["there is no nohz_full", "there is no rcu_nocbs"]),
        (["isolcpus=domain,managed_irq,2-3", "nohz_full=2-3", "rcu_nocbs=2"], ["rcu_nocbs=2 differs"]),
        (["isolcpus=2-3", "nohz_full=3", "rcu_nocbs=2,3"], ["nohz_full=3 differs"]),
        (["isolcpus=domain,2-3", "nohz-full=2,3", "rcu_nocbs=3,2"], []),
        (["isolcpus=2-N", "nohz_full=2-N", "rcu_nocbs=2-N"], ["names its CPUs in a way that nobody can check"]),
    ],
)
def test_isolcpus_by_hand_needs_the_same_list_twice_more(arguments, words):
    found = problems(*arguments)
    assert len(found) == len(words)
    for text, word in zip(found, words, strict=True):
        assert f"{arguments[0]} " in text
        assert word in text


def test_an_argument_given_twice_is_refused_and_consoles_are_not():
    assert problems("quiet", "console=tty0", "console=ttyS0", "quiet") == [
        "kernel_arguments.3: quiet is the second quiet; keep one of them"
    ]
    found = problems(arguments={"nic": ["pci=noaer"], "kernel_arguments": ["pci=nomsi"]})
    assert found == ["kernel_arguments.0: pci=nomsi is the second pci, nic_kernel_arguments has one; keep one of them"]


@pytest.mark.parametrize(
    "argument",
    ["a b", 'a="1"', "a='1'", "a=$b", "a=`b`", "a=b\n", "a\\b", "a;b", "a&b", "a|b", "a>b", "", "=1", "--", 3],
)
def test_what_the_shell_or_grub_would_read_otherwise_is_refused(argument):
    (found,) = problems(argument)
    assert found.startswith(f"kernel_arguments.0: {argument!r} is no argument that passes the shell and GRUB unchanged")


@pytest.mark.parametrize(
    ("pages", "hardware", "words"),
    [
        ([{"size": "2M", "count": 26215}], HARDWARE, "takes 52430 MiB, more than 80 % of the host (52429 MiB)"),
        ([{"size": "1G", "count": 41, "node": 1}], SERVER, "takes 41984 MiB, more than 80 % of node 1 (40960 MiB)"),
        (
            [{"size": "1G", "count": 1, "node": 2}],
            SERVER,
            "node 2 does not exist; hardware.cpu.numa_nodes has nodes 0-1",
        ),
        ([{"size": "1G", "count": 1, "node": 1}], HARDWARE, "hardware.cpu.numa_nodes has only node 0"),
        ([{"size": "4M", "count": 1}], HARDWARE, "size 4M does not exist; write one of 2M, 1G"),
        ([{"size": "2M", "count": 0}], HARDWARE, "count 0 is no number of pages"),
        ([{"size": "2M", "count": 1}, {"size": "2M", "count": 1}], HARDWARE, "has 2M twice; keep one of them"),
        (
            [{"size": "2M", "count": 1, "node": 1}, {"size": "2M", "count": 1, "node": 1}],
            SERVER,
            "has 2M twice for node 1; keep one of them",
        ),
        (
            [{"size": "2M", "count": 1}, {"size": "2M", "count": 1, "node": 1}],
            SERVER,
            "has 2M with and without a node; name a node in each entry of that size, or in none",
        ),
    ],
)
def test_huge_pages_that_the_host_does_not_have_are_refused(pages, hardware, words):
    (found,) = problems(hugepages=pages, hardware=hardware)
    assert found.startswith("kernel_hugepages")
    assert words in found


NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,12}", fullmatch=True)
EXTRAS = st.lists(
    st.tuples(NAMES, st.from_regex(r"[A-Za-z0-9,:/]{1,8}", fullmatch=True)), unique_by=lambda e: name_of(e[0])
)
SETTLED = {"nosmt", "isolcpus", *OWNED, *(harmful.name for harmful in HARMFUL)}
SETTLED |= {name_of(argument.name) for wanted in PROFILES.values() for argument in wanted}


@given(st.sampled_from(sorted(PROFILES)), st.sampled_from(["generic", "realtime"]), st.booleans(), EXTRAS)
def test_a_line_without_problems_names_no_parameter_twice_and_needs_no_quotes(profile, flavour, isolates, extras):
    extra = [f"{name}={value}" for name, value in extras if name_of(name) not in SETTLED]
    sets = SETS if isolates and profile in {"trading", "hft"} else NOTHING
    options = {"flavour": flavour, "arguments": {"kernel_arguments": extra}}
    assert list(refusals(profile, sets, Options.read(options), HARDWARE)) == []
    words = kernel_arguments(profile, sets, options)
    assert len({name_of(word) for word in words}) == len(words)
    assert all(SAFE.fullmatch(word) for word in words)
    assert [word for word in words if word in extra] == extra


@given(st.lists(st.text(max_size=12), max_size=4))
def test_whatever_passes_is_one_word_for_the_shell(arguments):
    found = problems(*arguments)
    assert len(found) <= len(arguments) + 2
    if not found:
        assert " ".join(arguments).split() == arguments
        assert not set("".join(arguments)) & set("\"'`$\\;&|<>(){}*?~# \n\t")


@given(
    st.lists(
        st.tuples(st.sampled_from(["2M", "1G"]), st.integers(1, 60000), st.sampled_from([None, 0, 1])), max_size=4
    ),
    st.integers(1, 200),
)
def test_huge_pages_never_take_more_than_their_share_of_a_node(entries, memory):
    pages = [
        {"size": size, "count": count, **({} if node is None else {"node": node})} for size, count, node in entries
    ]
    hardware = {"memory_gib": memory, "cpu": {"numa_nodes": ["0-1", "2-3"]}}
    if problems(hugepages=pages, hardware=hardware):
        return
    for node in (0, 1):
        mib = sum(
            (2 if size == "2M" else 1024) * count / (2 if where is None else 1)
            for size, count, where in entries
            if where in (None, node)
        )
        assert mib <= memory * 1024 * 0.8 / 2 + 1
