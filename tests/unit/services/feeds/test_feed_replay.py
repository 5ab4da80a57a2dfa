# SPDX-License-Identifier: Apache-2.0
"""The past as a feed: every bar once, in order, at its pace."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.errors import StationError
from station.feeds.intervals import MINUTE
from station.feeds.port import ClosedBar, Ended
from station.feeds.replay import Recording, Replay, Source

from tests.unit.services.feeds.feeds_kit import NOON, ManualClock, closes, minute

PAST = [minute(number) for number in (1, 2, 4, 10)]


def source(*bars: ClosedBar) -> Source:
    return partial(iter, bars)


def replay(clock: ManualClock, *sources: Source, speed: str | None = None) -> Replay:
    recording = Recording("test", ("BTC/USD", "ETH/USD"), MINUTE, sources)
    played = Replay(recording, clock, Decimal(speed) if speed else None)
    played.open()
    return played


def all_of(played: Replay, wait_s: float = 0.25) -> Iterator[ClosedBar]:
    while True:
        try:
            yield from played.receive(wait_s)
        except Ended:
            return


@given(st.lists(st.lists(st.integers(0, 2000)), max_size=4))
def test_as_fast_as_possible_all_bars_come_in_order_and_no_time_passes(parts: list[list[int]]):
    clock = ManualClock()
    sources = [source(*map(minute, sorted(part))) for part in parts]
    found = closes(list(all_of(replay(clock, *sources))))
    assert found == sorted(number for part in parts for number in part)
    assert clock.time == NOON


@pytest.mark.parametrize(("speed", "seconds"), [("1", 540), ("60", 9), ("0.5", 1080)])
def test_at_a_speed_the_distances_are_those_of_the_past(speed: str, seconds: float):
    clock = ManualClock()
    times = [(clock.time - NOON) / 1e6 for _ in all_of(replay(clock, source(*PAST), speed=speed))]
    assert times == pytest.approx([number * seconds / 9 for number in (0, 1, 3, 9)], abs=1e-3)


def test_waiting_for_the_next_bar_ends_after_the_wait_that_was_allowed():
    clock = ManualClock()
    played = replay(clock, source(*PAST), speed="1")
    assert closes(played.receive(0.25)) == [1]
    assert played.receive(0.25) == []
    assert clock.slept == [0.25]


def test_a_bar_keeps_the_times_of_the_past():
    (one,) = all_of(replay(ManualClock(now=NOON + 10**14), source(minute(1))))
    assert (one.closed_at, one.available) == (NOON + MINUTE, NOON + MINUTE)


def test_symbols_that_nobody_wants_are_passed_over():
    found = list(all_of(replay(ManualClock(), source(minute(1, symbol="XRP/USD"), minute(2)))))
    assert closes(found) == [2]


def test_a_source_out_of_order_is_refused_where_it_is():
    played = replay(ManualClock(), source(minute(2), minute(1)))
    with pytest.raises(StationError, match=r"^test: the bar of 2024-03-04T12:01:00Z comes after that of .*12:02:00Z"):
        list(all_of(played))


def test_history_is_the_part_that_is_asked_for():
    played = replay(ManualClock(), source(*PAST))
    assert closes(list(played.history("BTC/USD", NOON + MINUTE, NOON + 4 * MINUTE))) == [2, 4]


def test_it_can_be_played_again_and_ends_when_closed():
    played = replay(ManualClock(), source(*PAST))
    assert len(list(all_of(played))) == len(PAST)
    played.open()
    assert len(list(all_of(played))) == len(PAST)
    played.open()
    played.close()
    assert list(all_of(played)) == []


@pytest.mark.parametrize("speed", ["0", "-1"])
def test_a_speed_that_plays_nothing_is_refused(speed: str):
    with pytest.raises(StationError, match="give one above zero"):
        replay(ManualClock(), speed=speed)
