# SPDX-License-Identifier: Apache-2.0
"""CPU lists as the kernel writes them, and cores from the inventory's words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hardware.cpus import cores
from fleet.host.cpu_lists import CpuListError, compose, of_kernel, parse

CPUS = st.frozensets(st.integers(0, 200))


@given(CPUS)
def test_what_is_composed_parses_to_the_same_cpus(cpus):
    assert parse(compose(cpus)) == cpus


@given(CPUS)
def test_the_composed_list_has_no_two_ranges_that_touch(cpus):
    ranges = [tuple(map(int, part.split("-"))) for part in compose(cpus).split(",") if part]
    assert all(later[0] > earlier[-1] + 1 for earlier, later in pairwise(ranges))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), min_size=1))
def test_ranges_may_overlap_and_come_in_any_order(ranges):
    text = ", ".join(f"{first}-{first + length}" for first, length in ranges)
    assert parse(text) == {cpu for first, length in ranges for cpu in range(first, first + length + 1)}


@given(st.text(alphabet="0123456789,-: a", max_size=12))
def test_any_text_is_either_a_list_or_refused(text):
    try:
        cpus = parse(text)
    except CpuListError:
        return
    assert parse(compose(cpus)) == cpus


@pytest.mark.parametrize("text", ["3-2", "a", "1-", "-1", "1,,2", "0-9:2", "all", "8192", "9" * 5000, "\u0661"])
def test_a_text_that_is_no_list_is_refused(text):
    with pytest.raises(CpuListError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("managed_irq,domain,2-3,6", {2, 3, 6}), ("(null)\n", set()), ("\n", set()), ("0", {0}), ("2-5\n", {2, 3, 4, 5})],
)
def test_cpu_lists_as_the_kernel_takes_and_prints_them(text, cpus):
    assert of_kernel(text) == cpus


@given(st.integers(1, 64), st.integers(0, 32), st.sampled_from([1, 2]), st.sampled_from(["adjacent", "apart"]))
def test_the_cores_have_each_cpu_once_and_the_right_number_of_threads(number, efficient, threads, siblings):
    last = number * threads - 1
    small = compose(range(last + 1, last + 1 + efficient))
    found = cores(
        {
            "performance_cpus": f"0-{last}",
            "efficiency_cpus": small,
            "threads_per_core": threads,
            "siblings": siblings,
        }
    )
    assert sorted(cpu for core in found for cpu in core) == list(range(last + 1 + efficient))
    assert [len(core) for core in found] == [threads] * number + [1] * efficient


def test_adjacent_siblings_are_neighbours_and_apart_ones_are_a_core_count_away():
    described = {"performance_cpus": "0-11", "threads_per_core": 2}
    assert cores(described)[1] == {2, 3}
    assert cores({**described, "siblings": "apart"})[1] == {1, 7}


def test_a_host_that_lists_no_cpus_has_no_cores():
    assert cores({"model": "Apple M4 Pro"}) == ()
