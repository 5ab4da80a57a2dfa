# SPDX-License-Identifier: Apache-2.0
"""Which bars there should be."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.errors import StationError
from station.feeds.intervals import DAY, HOUR, MINUTE
from station.feeds.reading import micros, text
from station.feeds.sessions import ALWAYS, Sessions
from station.modes.calendar import DAY_MINUTES, Calendar, Hours
from station.modes.markets import ALWAYS_OPEN, market

START, END = micros("2024-03-04"), micros("2024-03-16")


def at(moment: str) -> int:
    return micros(f"2024-{moment}")


def listed(hours: dict[date, Hours | None]) -> Sessions:
    return Sessions(Calendar("list", ZoneInfo("UTC"), (), hours, date(2024, 3, 4), date(2024, 3, 15)))


# Two days of a share exchange in New York's winter, and a shortened one.
SHARES = listed(
    {
        date(2024, 3, 4): Hours(870, 1260),
        date(2024, 3, 5): Hours(870, 1260),
        date(2024, 3, 6): Hours(870, 1080),
    }
)
LENGTHS = st.sampled_from([MINUTE, 5 * MINUTE, HOUR, DAY])


@st.composite
def calendars(draw: st.DrawFn) -> Sessions:
    minutes = st.integers(0, DAY_MINUTES - 1)
    hours: dict[date, Hours | None] = {}
    for number in draw(st.sets(st.integers(0, 11))):
        edges = sorted(draw(st.sets(minutes, min_size=4, max_size=4)))
        pause = draw(st.sampled_from([None, (edges[1], edges[2])]))
        hours[date(2024, 3, 4) + timedelta(days=number)] = Hours(edges[0], edges[3], pause)
    return listed(hours)


def test_around_the_clock_each_whole_hour_closes_a_bar():
    found = list(ALWAYS.closes(at("03-04T11:30"), at("03-04T14:00"), HOUR))
    assert [text(close)[11:16] for close in found] == ["12:00", "13:00", "14:00"]


def test_a_session_has_the_bars_that_overlap_it():
    half_hours = list(SHARES.closes(START, at("03-05T00:00"), 30 * MINUTE))
    assert (len(half_hours), half_hours[0], half_hours[-1]) == (13, at("03-04T15:00"), at("03-04T21:00"))
    hours = list(SHARES.closes(START, at("03-05T00:00"), HOUR))
    assert (len(hours), hours[0], hours[-1]) == (7, at("03-04T15:00"), at("03-04T21:00"))


def test_the_last_bar_of_a_session_may_close_after_it():
    short = listed({date(2024, 3, 4): Hours(12 * 60, 12 * 60 + 10)})
    assert list(short.closes(at("03-04T12:30"), END, HOUR)) == [at("03-04T13:00")]


def test_a_day_closes_with_its_session_also_when_that_is_short():
    assert list(SHARES.closes(START, END, DAY)) == [at("03-04T21:00"), at("03-05T21:00"), at("03-06T18:00")]


def test_what_is_missing_over_a_night_is_what_the_market_was_open_for():
    found = SHARES.missing(at("03-04T20:00"), at("03-05T16:00"), HOUR)
    assert found == (at("03-04T21:00"), at("03-05T15:00"), 2)
    assert SHARES.missing(at("03-04T21:00"), at("03-05T15:00"), HOUR) is None


def test_a_mistaken_date_in_the_far_future_is_counted_at_once():
    first, last, number = ALWAYS.missing(START, micros("9000-01-01"), MINUTE) or (0, 0, 0)
    assert (first, last) == (START + MINUTE, micros("9000-01-01") - MINUTE)
    assert number > 3_000_000_000


@given(calendars(), LENGTHS, st.integers(0, 12 * 24 * 60), st.integers(0, 12 * 24 * 60))
def test_a_span_has_the_closes_of_its_two_parts(sessions: Sessions, interval: int, one: int, other: int):
    middle, end = START + min(one, other) * MINUTE, START + max(one, other) * MINUTE
    parts = [*sessions.closes(START, middle, interval), *sessions.closes(middle, end, interval)]
    assert parts == list(sessions.closes(START, end, interval))
    assert parts == sorted(set(parts))


@given(calendars(), LENGTHS, st.integers(0, 12 * 24 * 60))
def test_the_last_close_is_the_last_of_all_before(sessions: Sessions, interval: int, moment: int):
    time = START + moment * MINUTE
    # A bar that ends with the calendar's first minute belongs to a session that began before it.
    expected = [close for close in sessions.closes(START, END, interval) if close <= time]
    assert sessions.last_close(time, interval) == (expected[-1] if expected else None)


@given(calendars(), LENGTHS, st.integers(0, 12 * 24 * 60), st.integers(0, 12 * 24 * 60))
def test_missing_says_first_last_and_number_of_what_lies_between(
    sessions: Sessions, interval: int, one: int, other: int
):
    before, after = START + min(one, other) * MINUTE, START + max(one, other) * MINUTE
    for calendar in (sessions, ALWAYS):
        between = [close for close in calendar.closes(before, after, interval) if close < after]
        assert calendar.missing(before, after, interval) == (
            (between[0], between[-1], len(between)) if between else None
        )


def test_beyond_the_calendar_nothing_is_guessed():
    for ask in (
        lambda: SHARES.last_close(END + 1, HOUR),
        lambda: list(SHARES.closes(START - 1, END, HOUR)),
        lambda: SHARES.missing(START, END + 2, HOUR),
    ):
        words = r"the table of list (begins on 2024-03-04|ends on 2024-03-15), and nothing is known of bars"
        with pytest.raises(StationError, match=words):
            ask()


def test_bars_within_a_pause_are_not_due_and_the_day_still_closes_once():
    tokyo = Sessions(market("XTKS"))
    start, end = micros("2026-12-01"), micros("2026-12-02")
    hours = [text(close)[11:16] for close in tokyo.closes(start, end, 15 * MINUTE)]
    # 11:30 to 12:30 in Tokyo.
    assert (hours[0], hours[-1], len(hours)) == ("00:15", "06:30", 22)
    assert "02:30" in hours
    assert not {"02:45", "03:00", "03:15", "03:30"} & set(hours)
    assert "03:45" in hours
    assert list(tokyo.closes(start, end, DAY)) == [micros("2026-12-01T06:30")]


def test_a_day_of_currencies_closes_at_17_in_new_york_in_winter_and_in_summer():
    currencies = Sessions(market("fx"))
    found = [text(close) for close in currencies.closes(micros("2026-03-05"), micros("2026-03-11"), DAY)]
    assert [time[5:16] for time in found] == ["03-05T22:00", "03-06T22:00", "03-09T21:00", "03-10T21:00"]


@given(LENGTHS, st.integers(0, 30 * 24 * 60), st.integers(0, 3 * 24 * 60))
def test_the_short_way_round_the_clock_says_what_the_long_one_says(interval: int, start: int, length: int):
    same = Sessions(Calendar(ALWAYS_OPEN.name, ALWAYS_OPEN.zone, ALWAYS_OPEN.weeks))
    begin, end = START + start * MINUTE, START + (start + length) * MINUTE
    assert list(same.closes(begin, end, interval)) == list(ALWAYS.closes(begin, end, interval))
    assert same.missing(begin, end, interval) == ALWAYS.missing(begin, end, interval)
    assert same.last_close(begin, interval) == ALWAYS.last_close(begin, interval)


def test_a_mistaken_date_costs_no_minutes_in_a_market_that_closes_either():
    first, last, number = Sessions(market("fx")).missing(START, micros("2099-12-30"), MINUTE) or (0, 0, 0)
    assert (first, last) == (START + MINUTE, micros("2099-12-30") - MINUTE)
    assert number > 25_000_000
