# SPDX-License-Identifier: Apache-2.0
"""What the role sysctl refuses before a host is touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.sysctl.rules import refusals as judged
from tests.unit.roles.rules_kit import lines


def refused(**declared: Any) -> list[str]:
    return [str(refusal) for refusal in judged(declared)]


def test_the_example_passes() -> None:
    assert lines("sysctl") == []


def test_a_key_that_two_roles_declare_is_refused_with_both() -> None:
    (line,) = lines("sysctl", sysctl_settings={"vm.overcommit_memory": 1})
    assert line.startswith("sysctl_settings.vm.overcommit_memory: sysctl key vm.overcommit_memory is claimed by")
    assert "redis_sysctl" in line


def test_two_spellings_of_a_key_are_one_key() -> None:
    (line,) = refused(a={"net/ipv4/conf/eth0.100/rp_filter": 1}, b={"net.ipv4.conf.eth0/100.rp_filter": 2})
    assert "net.ipv4.conf.eth0/100.rp_filter is claimed by a too" in line


@pytest.mark.parametrize("kind", ["dirty", "dirty_background"])
def test_ratio_and_bytes_of_one_threshold_exclude_each_other(kind: str) -> None:
    (line,) = refused(a={f"vm.{kind}_ratio": 5}, b={f"vm.{kind}_bytes": 1000})
    assert f"vm.{kind}_ratio and vm.{kind}_bytes exclude each other" in line


@given(st.integers(1, 100), st.integers(1, 100), st.sampled_from(["ratio", "bytes"]))
def test_the_background_threshold_must_be_below_the_foreground_one(low: int, high: int, kind: str) -> None:
    found = refused(a={f"vm.dirty_background_{kind}": low, f"vm.dirty_{kind}": high})
    assert bool(found) == (low >= high)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("kernel.sched_migration_cost_ns", "does not exist: the kernel moved it to debugfs in 5.13"),
        ("vm.swapiness", "did you mean vm.swappiness?"),
        ("net.core.bussy_poll", "did you mean net.core.busy_poll?"),
        ("kernel.numa_balancin", "did you mean kernel.numa_balancing?"),
    ],
)
def test_a_key_that_no_kernel_has_is_refused_with_the_reason(key: str, words: str) -> None:
    (line,) = refused(guide={key: 1})
    assert line.startswith(f"guide.{key}: ")
    assert words in line


@pytest.mark.parametrize(
    "key", ["net.ipv4.conf.enp1s0.rp_filter", "fs.aio-max-nr", "dev.hpet.max-user-freq", "vm.swappiness"]
)
def test_a_key_that_only_the_kernel_knows_is_left_to_it(key: str) -> None:
    assert refused(a={key: 1}) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true is not a kernel value; write 1"),
        (None, "None is not"),
        ("", "'' is not"),
        (0.5, "0.5 is not"),
        ([1], "[1] is"),
    ],
)
def test_a_value_that_is_no_number_and_no_words_is_refused(value: object, words: str) -> None:
    (line,) = refused(role={"vm.swappiness": value})
    assert words in line
