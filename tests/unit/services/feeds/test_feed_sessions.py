# SPDX-License-Identifier: Apache-2.0
"""Which bars there should be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.errors import StationError
from station.feeds.intervals import DAY, HOUR, MINUTE
from station.feeds.reading import micros, text
from station.feeds.sessions import ALWAYS, Sessions

START, END = micros("2024-03-04"), micros("2024-03-16")


def at(moment: str) -> int:
    return micros(f"2024-{moment}")


# Two days of a share exchange in New York's winter, and a shortened one.
SHARES = Sessions(
    hours=(
        (at("03-04T14:30"), at("03-04T21:00")),
        (at("03-05T14:30"), at("03-05T21:00")),
        (at("03-06T14:30"), at("03-06T18:00")),
    ),
    start=START,
    end=END,
)
LENGTHS = st.sampled_from([MINUTE, 5 * MINUTE, HOUR, DAY])


@st.composite
def calendars(draw: st.DrawFn) -> Sessions:
    edges = sorted(draw(st.sets(st.integers(0, 12 * 24 * 60), max_size=12)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return Sessions(tuple((START + a * MINUTE, START + b * MINUTE) for a, b in pairs), START, END)


def test_around_the_clock_each_whole_hour_closes_a_bar():
    found = list(ALWAYS.closes(at("03-04T11:30"), at("03-04T14:00"), HOUR))
    assert [text(close)[11:16] for close in found] == ["12:00", "13:00", "14:00"]


def test_a_session_has_the_bars_that_overlap_it():
    half_hours = list(SHARES.closes(START, at("03-05T00:00"), 30 * MINUTE))
    assert (len(half_hours), half_hours[0], half_hours[-1]) == (13, at("03-04T15:00"), at("03-04T21:00"))
    hours = list(SHARES.closes(START, at("03-05T00:00"), HOUR))
    assert (len(hours), hours[0], hours[-1]) == (7, at("03-04T15:00"), at("03-04T21:00"))


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
        with pytest.raises(
            StationError, match="the calendar reaches from 2024-03-04T00:00:00Z to 2024-03-16T00:00:00Z"
        ):
            ask()


@pytest.mark.parametrize(
    ("hours", "words"),
    [(((5, 5),), "put open before close"), (((5, 9), (8, 12)), "before the end of another: sort them")],
)
def test_hours_that_no_calendar_has_are_refused(hours: tuple[tuple[int, int], ...], words: str):
    with pytest.raises(StationError, match=words):
        Sessions(hours, 0, 100)
