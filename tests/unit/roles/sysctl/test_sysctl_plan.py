# SPDX-License-Identifier: Apache-2.0
"""What is merged, and what is refused, before a host is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.sysctl.filter_plugins.sysctl_plan import GONE, sysctl_plan

KEYS = st.from_regex(r"(vm|kernel|net\.core)\.[a-z_]{3,12}", fullmatch=True).filter(
    lambda key: key not in GONE and "dirty" not in key
)


def problems(**declared) -> list[str]:
    found: list[str] = sysctl_plan(declared)["problems"]
    return found


def test_declarations_of_several_roles_become_one_sorted_list_with_owners():
    plan = sysctl_plan({"redis": {"vm.overcommit_memory": 1}, "policy": {"net.ipv4.tcp_rmem": "4096\t131072  6291456"}})
    assert plan["problems"] == []
    assert plan["entries"] == [
        {"key": "net.ipv4.tcp_rmem", "value": "4096 131072 6291456", "owner": "policy"},
        {"key": "vm.overcommit_memory", "value": "1", "owner": "redis"},
    ]


def test_two_owners_of_a_key_are_refused_in_one_line_that_names_both():
    assert problems(redis={"vm.swappiness": 1}, questdb={"vm.swappiness": 1}) == [
        "vm.swappiness has two owners, questdb and redis: keep it in one"
    ]


def test_two_spellings_of_a_key_are_one_key():
    found = problems(a={"net/ipv4/conf/eth0.100/rp_filter": 1}, b={"net.ipv4.conf.eth0/100.rp_filter": 2})
    assert found == ["net.ipv4.conf.eth0/100.rp_filter has two owners, a and b: keep it in one"]


@pytest.mark.parametrize("kind", ["dirty", "dirty_background"])
def test_ratio_and_bytes_of_one_threshold_exclude_each_other(kind):
    assert problems(a={f"vm.{kind}_ratio": 5}, b={f"vm.{kind}_bytes": 1000}) == [
        f"vm.{kind}_ratio and vm.{kind}_bytes exclude each other (writing one zeroes the other): keep one of them"
    ]


@given(st.integers(1, 100), st.integers(1, 100), st.sampled_from(["ratio", "bytes"]))
def test_the_background_threshold_must_be_below_the_foreground_one(low, high, kind):
    found = problems(a={f"vm.dirty_background_{kind}": low, f"vm.dirty_{kind}": high})
    assert bool(found) == (low >= high)


def test_a_key_that_the_kernel_moved_away_is_refused_with_the_reason():
    (line,) = problems(guide={"kernel.sched_migration_cost_ns": 5000000})
    assert line.startswith(
        "kernel.sched_migration_cost_ns (guide) does not exist: the kernel moved it to debugfs in 5.13"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true is not a kernel value, write 1"),
        (None, "None is not"),
        ("", "'' is not"),
        (0.5, "0.5 is not"),
        ([1], "[1] is"),
    ],
)
def test_a_value_that_is_no_number_and_no_words_is_refused(value, words):
    (line,) = problems(role={"vm.swappiness": value})
    assert words in line


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.dictionaries(KEYS, st.integers(0, 9))))
def test_every_declared_key_appears_once_and_in_order_whoever_declares_it(declared):
    plan = sysctl_plan(declared)
    keys = [entry["key"] for entry in plan["entries"]]
    claims = [key for settings in declared.values() for key in settings]
    assert keys == sorted(set(claims))
    assert bool(plan["problems"]) == (len(claims) > len(set(claims)))
