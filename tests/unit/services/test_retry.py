# SPDX-License-Identifier: Apache-2.0
"""Waiting between tries: how long, and until when."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.errors import Unavailable
from station.retry import Patience, persist, waits

from tests.unit.services.manual_clock import ManualClock


def highest(_low: float, high: float) -> float:
    return high


def test_the_bound_doubles_up_to_the_cap():
    assert list(islice(waits(0.5, 3.0, highest), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.floats(0.001, 1), st.floats(1, 60), st.randoms(use_true_random=False))
def test_any_wait_up_to_the_bound_is_possible(base, cap, random):
    low = list(islice(waits(base, cap, lambda low, _high: low), 20))
    high = list(islice(waits(base, cap, highest), 20))
    drawn = list(islice(waits(base, cap, random.uniform), 20))
    assert low == [0.0] * 20
    assert all(0 <= wait <= bound <= cap for wait, bound in zip(drawn, high, strict=True))


def test_an_attempt_is_made_until_it_works_with_a_wait_before_each_further_one():
    clock, failures = ManualClock(), [Unavailable("not yet"), Unavailable("not yet")]

    def attempt() -> int:
        if failures:
            raise failures.pop()
        return 7

    assert persist(attempt, clock, iter([0.1, 0.2, 0.3]), lambda: False) == 7
    assert clock.slept == [0.1, 0.2]


def test_who_is_stopped_gives_up_with_the_last_reason_and_without_a_wait():
    clock = ManualClock()

    def attempt() -> None:
        raise Unavailable("away")

    with pytest.raises(Unavailable, match="away"):
        Patience(clock, stopped=lambda: len(clock.slept) == 2).persist(attempt)
    assert len(clock.slept) == 2


def test_what_is_not_unavailable_is_not_tried_again():
    tries = []

    def attempt() -> None:
        tries.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        Patience(ManualClock(), stopped=lambda: False).persist(attempt)
    assert len(tries) == 1
