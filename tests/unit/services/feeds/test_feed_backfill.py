# SPDX-License-Identifier: Apache-2.0
"""Holes are filled from history: each bar once, a few tries, and no storm on a vendor that is away."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from station.errors import Unavailable
from station.feeds import backfill
from station.feeds.backfill import Filler
from station.feeds.intervals import MINUTE, SECOND
from station.feeds.port import RateLimited
from station.feeds.sessions import ALWAYS

from tests.unit.services.feeds.feeds_kit import NOON, ManualClock, Script, closes, minute


def filler(past: list[int], clock: ManualClock) -> tuple[Filler, Script]:
    feed = Script(clock)
    feed.past = [minute(number) for number in past]
    return Filler(feed, clock, ALWAYS, tries=3, again_s=20.0), feed


def test_what_history_has_comes_oldest_first_and_was_known_only_now():
    clock = ManualClock(NOON + 10 * MINUTE)
    filling, _ = filler([1, 2, 3, 4], clock)
    filling.want("BTC/USD", NOON + MINUTE, NOON + 4 * MINUTE)
    bars, findings = filling.fill()
    assert (closes(bars), findings) == ([2, 3, 4], [])
    assert {bar.available for bar in bars} == {clock.time}
    assert filling.wanted == ()


def test_history_that_lags_is_asked_again_later_and_only_for_the_rest():
    clock = ManualClock(NOON + 4 * MINUTE)
    filling, feed = filler([1, 2], clock)
    filling.want("BTC/USD", NOON, NOON + 4 * MINUTE)
    assert closes(filling.fill()[0]) == [1, 2]
    assert filling.fill() == ([], [])
    feed.past = [minute(number) for number in (1, 2, 3, 4)]
    clock.time += 20 * SECOND
    assert closes(filling.fill()[0]) == [3, 4]
    assert feed.asked == [("BTC/USD", 0, 4), ("BTC/USD", 2, 4)]
    assert filling.wanted == ()


def test_what_history_never_has_is_given_up_and_told():
    clock = ManualClock(NOON + 4 * MINUTE)
    filling, feed = filler([1], clock)
    filling.want("BTC/USD", NOON, NOON + 3 * MINUTE)
    told = []
    for _ in range(10):
        told += filling.fill()[1]
        clock.time += 20 * SECOND
    assert [(finding.kind, finding.detail) for finding in told] == [
        ("unfilled", "history has no 2 from 2024-03-04T12:02:00Z to 2024-03-04T12:03:00Z")
    ]
    assert len(feed.asked) == 3


def test_a_hole_inside_the_answer_is_the_vendors_own():
    filling, feed = filler([1, 4], ManualClock(NOON + 4 * MINUTE))
    filling.want("BTC/USD", NOON, NOON + 4 * MINUTE)
    assert closes(filling.fill()[0]) == [1, 4]
    assert (filling.wanted, len(feed.asked)) == ((), 1)


def test_a_vendor_that_limits_is_left_alone_for_as_long_as_it_says_with_all_that_is_wanted():
    clock = ManualClock(NOON + 4 * MINUTE)
    filling, feed = filler([], clock)
    feed.past = RateLimited("too many", 300.0)
    filling.want("BTC/USD", NOON, NOON + MINUTE)
    filling.want("ETH/USD", NOON, NOON + MINUTE)
    _, findings = filling.fill()
    assert [finding.kind for finding in findings] == ["no_history"]
    clock.time += 299 * SECOND
    assert filling.fill() == ([], [])
    assert len(feed.asked) == 1
    feed.past = [minute(1), minute(1, symbol="ETH/USD")]
    clock.time += SECOND
    assert len(filling.fill()[0]) == 2


def test_being_away_costs_no_try():
    clock = ManualClock(NOON + 4 * MINUTE)
    filling, feed = filler([], clock)
    filling.want("BTC/USD", NOON, NOON + MINUTE)
    for _ in range(20):
        feed.past = Unavailable("away")
        filling.fill()
        clock.time += 20 * SECOND
    feed.past = [minute(1)]
    assert closes(filling.fill()[0]) == [1]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_the_same_hole_wanted_at_each_reconnection_stays_one(spans: list[tuple[int, int]]):
    filling, _ = filler([], ManualClock())
    for start, end in spans:
        filling.want("BTC/USD", NOON + start * MINUTE, NOON + end * MINUTE)
    wanted = [(one.start, one.end) for one in filling.wanted]
    for one in wanted:
        assert one[0] < one[1]
        assert not any(
            other != one and one[0] <= other[0] and other[1] <= one[1] and wanted.index(other) < wanted.index(one)
            for other in wanted
        )
    covered = {number for start, end in wanted for number in range(start // MINUTE, end // MINUTE)}
    assert covered == {NOON // MINUTE + number for start, end in spans for number in range(start, end)}


def test_a_long_absence_is_filled_in_parts_that_fit_into_memory(monkeypatch):
    monkeypatch.setattr(backfill, "AT_ONCE", 3)
    clock = ManualClock(NOON + 8 * MINUTE)
    filling, _ = filler(list(range(1, 9)), clock)
    filling.want("BTC/USD", NOON, NOON + 8 * MINUTE)
    parts = [closes(filling.fill()[0]) for _ in range(4)]
    assert parts == [[1, 2, 3], [4, 5, 6], [7, 8], []]
