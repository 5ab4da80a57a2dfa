# SPDX-License-Identifier: Apache-2.0
"""From a feed to the bus: each bar once, in order, whatever the vendor does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.errors import Conflict, StationError, Unavailable
from station.events import MarketEvent
from station.feeds.backfill import Filler
from station.feeds.intervals import MINUTE, SECOND
from station.feeds.port import ClosedBar, Ended, RateLimited
from station.feeds.quality import Inspector
from station.feeds.service import WAIT_S, FeedService, Parts
from station.feeds.sessions import ALWAYS
from station.feeds.watchdog import Watchdog

from tests.unit.services.feeds.feeds_kit import NOON, ManualClock, Notes, Script, Shelf, minute


class Bench:
    """A service with both ends in the hand of the test."""

    def __init__(self, *steps: list[ClosedBar] | Exception | int, known: int | None = None, wait: float = 1.0) -> None:
        self.clock = ManualClock()
        self.feed = Script(self.clock, *steps)
        self.shelf = Shelf()
        self.notes = Notes()
        self.health: list[tuple[str, str]] = []
        self.watchdog = Watchdog(self.feed.symbols, MINUTE, 5 * SECOND, ALWAYS, NOON)
        parts = Parts(
            feed=self.feed,
            publisher=self.shelf,
            clock=self.clock,
            inspector=Inspector(MINUTE),
            filler=Filler(self.feed, self.clock, ALWAYS),
            watchdog=self.watchdog,
            waits=lambda: repeat(wait),
            tell=lambda state, detail: self.health.append((state, detail)),
            notify=self.notes.append,
            largest_backlog=100,
        )
        self.service = FeedService(parts, {} if known is None else {"BTC/USD": NOON + known * MINUTE})

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.health]


def test_bars_become_events_with_the_close_as_time_and_when_they_were_known():
    bench = Bench([ClosedBar(minute(1).bar, NOON + MINUTE, NOON + MINUTE + 7)])
    bench.service.run()
    (event,) = bench.shelf.events
    assert isinstance(event, MarketEvent)
    assert (event.timestamp, event.available, event.payload) == (NOON + MINUTE, NOON + MINUTE + 7, minute(1).bar)
    assert (bench.states, bench.feed.closed) == (["ready"], 1)


def test_repetitions_corrections_and_impossible_bars_are_noted_and_not_published():
    bench = Bench([minute(1), minute(1), minute(1, "99"), minute(2, "0")])
    bench.service.run()
    assert bench.shelf.minutes == [1]
    assert bench.notes.kinds == ["duplicate", "correction", "impossible"]


def test_after_a_broken_connection_the_gap_is_filled_before_the_feed_goes_on():
    bench = Bench([minute(1)], Unavailable("cut"), [minute(5)], wait=240.0)
    bench.feed.past = [minute(number) for number in (1, 2, 3, 4)]
    bench.service.run()
    assert bench.shelf.minutes == [1, 2, 3, 4, 5]
    assert bench.feed.opened == 2
    assert bench.states == ["ready", "degraded", "ready"]
    assert "cut" in bench.health[1][1]


def test_a_bar_that_was_half_seen_at_the_reconnection_is_fetched_before_the_next_one():
    # Minute 2 was running when the line came back, so it is in neither the first answer of history nor the live feed.
    bench = Bench([minute(1)], Unavailable("cut"), [], 2, [minute(3)])
    bench.feed.past = [minute(1)]
    while bench.feed.steps:
        if bench.feed.steps[0] == [minute(3)]:
            bench.feed.past = [minute(1), minute(2)]
        bench.service.step()
    assert bench.shelf.minutes == [1, 2, 3]


def test_a_missing_minute_of_a_feed_that_may_be_silent_is_noted_and_left():
    bench = Bench([minute(1)], [minute(2)], [minute(5)])
    bench.service.run()
    assert bench.shelf.minutes == [1, 2, 5]
    assert bench.notes.kinds == ["gap"]
    assert bench.feed.asked == []


def test_a_missing_minute_of_a_feed_that_prints_each_is_fetched():
    bench = Bench([minute(1)], [minute(2), minute(5), minute(6)])
    bench.feed.prints_every_interval = True
    bench.feed.past = [minute(3), minute(4)]
    bench.service.run()
    assert bench.shelf.minutes == [1, 2, 3, 4, 5, 6]
    assert bench.feed.asked == [("BTC/USD", 2, 4)]


def test_a_restart_goes_on_where_the_bus_ends():
    bench = Bench(10, [minute(11)], known=7)
    bench.clock.time += 10 * MINUTE
    bench.feed.past = [minute(number) for number in range(1, 11)]
    bench.service.run()
    assert bench.shelf.minutes == [8, 9, 10, 11]


def test_history_that_is_away_does_not_keep_the_live_feed_waiting():
    bench = Bench([minute(5)], 1, [minute(6)], known=1)
    bench.clock.time += 5 * MINUTE
    bench.feed.past = RateLimited("an hour", 3600.0)
    bench.service.run()
    assert bench.shelf.minutes == [5, 6]
    assert "no_history" in bench.notes.kinds
    assert bench.notes.kinds.count("no_history") == 1


def test_a_bar_overdue_makes_it_connect_anew_once_and_stay_degraded_until_bars_come():
    bench = Bench([minute(1)], 3, [], [], [minute(5)], wait=0.0)
    while bench.feed.steps:
        bench.service.step()
    assert bench.feed.opened == 2
    assert bench.states == ["ready", "degraded", "ready"]
    assert bench.health[1][1] == "1 symbols overdue: no bar of BTC/USD for 2024-03-04T12:02:00Z; connecting anew"


def test_a_refusal_ends_it_with_one_line_and_no_second_try():
    bench = Bench(ConnectionError(StationError("401: token expired")), [minute(1)])
    with pytest.raises(StationError, match=r"^401: token expired$"):
        bench.service.run()
    assert (bench.feed.opened, bench.feed.closed) == (1, 1)
    assert bench.health == [("degraded", "401: token expired")]


def test_a_vendor_that_limits_is_given_the_time_it_asks_for():
    bench = Bench(ConnectionError(RateLimited("slower", 30.0)), [minute(1)])
    bench.service.run()
    assert sum(bench.clock.slept) == pytest.approx(31.0)
    assert bench.shelf.minutes == [1]


def test_waits_between_attempts_start_over_only_when_bars_came():
    waited: list[Iterator[float]] = []

    def waits() -> Iterator[float]:
        waited.append(iter((0.1, 0.2, 0.3, 0.4)))
        return waited[-1]

    bench = Bench(Unavailable("1"), Unavailable("2"), [minute(1)], Unavailable("3"))
    object.__setattr__(bench.service._parts, "waits", waits)
    bench.service._seconds = waits()
    bench.service.run()
    assert bench.clock.slept == pytest.approx([0.1, 0.2, 0.1])


def test_a_stop_is_noticed_during_a_long_wait():
    bench = Bench(Unavailable("gone"), wait=3600.0)
    sleep = bench.clock.sleep

    def sleep_and_stop(seconds: float) -> None:
        sleep(seconds)
        if sum(bench.clock.slept) > 5:
            bench.service.stop()

    bench.clock.sleep = sleep_and_stop  # type: ignore[method-assign]
    bench.service.run()
    assert sum(bench.clock.slept) < 5 + 2 * WAIT_S


def test_a_source_that_can_wait_does_while_readers_are_behind():
    bench = Bench([minute(1)])
    bench.shelf.behind = 101
    assert (bench.service.step(), bench.shelf.minutes) == (0, [])
    bench.shelf.behind = 100
    assert bench.service.step() == 1


def test_stopped_while_the_bus_is_away_it_ends_and_loses_no_track():
    bench = Bench([minute(1)])
    bench.shelf.error = Unavailable("stopped before the bus answered")
    with pytest.raises(Ended, match="stopped before the bus answered"):
        bench.service.step()


def test_somebody_else_in_our_name_ends_it():
    bench = Bench([minute(1)])
    bench.shelf.error = Conflict("two producers")
    with pytest.raises(Conflict):
        bench.service.run()
    assert bench.feed.closed == 1


STEPS = st.lists(
    st.one_of(
        st.lists(st.integers(1, 30), max_size=4),
        st.just("cut"),
        st.integers(0, 2),
    ),
    max_size=25,
)


@given(STEPS)
def test_whatever_happens_each_bar_is_published_once_and_what_history_has_is_not_lost(
    steps: list[list[int] | str | int],
):
    script: list[list[ClosedBar] | Exception | int] = [
        Unavailable("cut")
        if step == "cut"
        else [minute(number) for number in step]
        if isinstance(step, list)
        else int(step)
        for step in steps
    ]
    bench = Bench(*script, [minute(31)], Unavailable("cut"), [minute(33)], wait=0.0, known=0)
    bench.clock.time += 33 * MINUTE
    bench.feed.past = [minute(number) for number in range(1, 33)]
    bench.service.run()
    published = bench.shelf.minutes
    assert len(published) == len(set(published))
    assert set(published) == set(range(1, 34))
