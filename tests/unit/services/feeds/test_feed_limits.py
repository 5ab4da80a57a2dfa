# SPDX-License-Identifier: Apache-2.0
"""How often a vendor is asked: never more than its rate allows, and no less than that for no reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.feeds.limits import UNKNOWN_WAIT_S, Limiter, Rate, TokenBucket, retry_after

from tests.unit.services.feeds.feeds_kit import NOON, ManualClock

COSTS = st.lists(st.integers(1, 5), min_size=1, max_size=60)


def test_a_full_bucket_goes_at_once_and_the_next_waits_for_its_drop():
    clock = ManualClock()
    bucket = TokenBucket(Rate(3, 6.0), clock)
    for _ in range(3):
        assert bucket.wait_s() == 0
        bucket.take()
    assert bucket.wait_s() == pytest.approx(2.0)
    clock.sleep(2.0)
    assert bucket.wait_s() == 0


@given(COSTS, st.integers(5, 20), st.floats(0.5, 60))
def test_in_no_window_is_the_rate_exceeded_by_more_than_one_bucket(costs: list[int], requests: int, seconds: float):
    clock = ManualClock()
    bucket = TokenBucket(Rate(requests, seconds), clock)
    went: list[tuple[float, int]] = []
    for cost in costs:
        clock.sleep(bucket.wait_s(cost) + 2e-6)  # the clock counts microseconds
        assert bucket.wait_s(cost) == 0
        bucket.take(cost)
        went.append(((clock.time - NOON) / 1e6, cost))
    for start, _ in went:
        in_window = sum(cost for time, cost in went if start <= time < start + seconds)
        assert in_window <= 2 * requests + 1e-6


@given(st.floats(0, 10_000))
def test_a_long_rest_earns_no_more_than_one_bucket(rest: float):
    clock = ManualClock()
    bucket = TokenBucket(Rate(4, 1.0), clock)
    clock.sleep(rest)
    for _ in range(4):
        bucket.take()
    assert bucket.wait_s() > 0


def test_a_request_that_can_never_pass_is_a_mistake():
    with pytest.raises(ValueError, match="can never pass a limit of 2"):
        TokenBucket(Rate(2, 1.0), ManualClock()).wait_s(3)


def test_the_slowest_of_several_rates_decides():
    limiter = Limiter((Rate(1, 1.0), Rate(1, 60.0)), ManualClock())
    limiter.take()
    assert limiter.wait_s() == pytest.approx(60.0)


def test_what_the_vendor_asks_for_is_kept_even_with_tokens_left():
    clock = ManualClock()
    limiter = Limiter((Rate(100, 1.0),), clock)
    limiter.pause(30.0)
    limiter.pause(5.0)
    assert limiter.wait_s() == pytest.approx(30.0)
    clock.sleep(30.0)
    assert limiter.wait_s() == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Mon, 04 Mar 2024 12:00:30 GMT", 30.0),
        ("Mon, 04 Mar 2024 11:00:00 GMT", 0.0),
        ("", UNKNOWN_WAIT_S),
        ("soon", UNKNOWN_WAIT_S),
        ("-5", UNKNOWN_WAIT_S),
        ("Mon, 04 Mar 2024 12:00:30 -0000", UNKNOWN_WAIT_S),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_a_guess(header: str, seconds: float):
    assert retry_after(header, NOON) == pytest.approx(seconds)


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str):
    assert retry_after(header, NOON) >= 0
