# SPDX-License-Identifier: Apache-2.0
"""Sessions: open, since when, until when, and when next; over midnight, holidays, pauses and changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.clock import of_datetime, to_datetime
from station.modes.calendar import (
    DAY_MINUTES,
    HORIZON,
    Calendar,
    Hours,
    Moment,
    Session,
    Unknown,
    Week,
    at,
    joined,
    without,
)
from station.modes.markets import ALWAYS_OPEN, market, names

MINUTE = 60_000_000
DAY = DAY_MINUTES * MINUTE
ZONES = st.sampled_from(["America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe", "Etc/UTC"])
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 10, 1)).map(  # noqa: DTZ001
    lambda moment: of_datetime(moment.replace(tzinfo=UTC))
)


def time(text: str) -> int:
    return of_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def text(moment: int | None) -> str | None:
    return None if moment is None else to_datetime(moment).isoformat()[:16]


def ask(calendar: Calendar, moment: str) -> tuple[bool, str | None, str | None, str | None]:
    place = at(calendar, time(moment))
    assert isinstance(place, Moment)
    opened = place.session.opens if place.session else None
    return place.is_open, text(opened), text(place.closes), text(place.opens)


@pytest.mark.parametrize(
    ("name", "moment", "answer"),
    [
        # The Friday after Thanksgiving.
        ("XNYS", "2026-11-27T17:59", (True, "2026-11-27T14:30", "2026-11-27T18:00", "2026-11-30T14:30")),
        ("XNYS", "2026-11-27T18:00", (False, None, None, "2026-11-30T14:30")),
        # Over Christmas and a weekend.
        ("XNYS", "2026-12-24T19:00", (False, None, None, "2026-12-28T14:30")),
        # The clocks of New York go forward on 14 March 2027.
        ("XNYS", "2027-03-12T20:00", (True, "2027-03-12T14:30", "2027-03-12T21:00", "2027-03-15T13:30")),
        # Lunch in Tokyo is in the session, and the market is not open.
        ("XTKS", "2026-12-01T02:29", (True, "2026-12-01T00:00", "2026-12-01T06:30", "2026-12-02T00:00")),
        ("XTKS", "2026-12-01T02:30", (False, "2026-12-01T00:00", "2026-12-01T06:30", "2026-12-02T00:00")),
        ("XTKS", "2026-12-01T03:30", (True, "2026-12-01T00:00", "2026-12-01T06:30", "2026-12-02T00:00")),
        # Globex rests for an hour a day, and begins on the evening before.
        ("CMES", "2026-12-01T21:59", (True, "2026-11-30T23:00", "2026-12-01T22:00", "2026-12-01T23:00")),
        ("CMES", "2026-12-01T22:00", (False, None, None, "2026-12-01T23:00")),
        # Currencies: the date turns at 17:00 New York and the market goes on until Friday.
        ("fx", "2026-12-01T12:00", (True, "2026-11-30T22:00", "2026-12-04T22:00", "2026-12-06T22:00")),
        ("fx", "2026-12-05T12:00", (False, None, None, "2026-12-06T22:00")),
        ("fx", "2027-03-12T12:00", (True, "2027-03-11T22:00", "2027-03-12T22:00", "2027-03-14T21:00")),
        ("24/7", "2026-12-25T12:00", (True, "2026-12-25T00:00", None, None)),
    ],
)
def test_a_market_is_open_since_and_until_and_opens_again(name, moment, answer):
    assert ask(market(name), moment) == answer


@given(st.sampled_from(names()), MOMENTS)
def test_what_a_moment_says_of_closing_and_opening_is_so_then(name, now):
    calendar = market(name)
    place = at(calendar, now)
    assert isinstance(place, Moment)
    if place.session:
        assert place.session.opens <= now < place.session.closes
    if place.closes is not None:
        before, after = at(calendar, place.closes - 1), at(calendar, place.closes)
        assert isinstance(before, Moment)
        assert isinstance(after, Moment)
        assert before.session is not None
        assert (after.session, after.opens) == (None, place.opens)
    if place.opens is not None:
        assert now < place.opens
        then, before = at(calendar, place.opens), at(calendar, place.opens - 1)
        assert isinstance(then, Moment)
        assert isinstance(before, Moment)
        assert then.is_open
        assert before.session is None


@given(st.sampled_from(names()), MOMENTS, st.integers(1, 30), st.integers(0, 30 * DAY_MINUTES))
def test_the_sessions_of_a_span_are_those_of_its_parts_in_order_and_apart(name, start, days, cut):
    calendar, end = market(name), start + days * DAY
    middle = min(start + cut * MINUTE, end)
    whole = list(calendar.sessions(start, end))
    parts = [*calendar.sessions(start, middle), *calendar.sessions(middle, end)]
    assert list(dict.fromkeys(parts)) == whole
    assert all(before.closes <= after.opens for before, after in pairwise(whole))
    assert all(session.opens < end and session.closes > start for session in whole)


@given(ZONES, st.integers(0, DAY_MINUTES - 1), st.integers(1, DAY_MINUTES - 1), st.integers(0, 6), MOMENTS)
def test_a_session_opens_and_closes_by_the_clock_of_its_zone(zone, opens, length, day, now):
    calendar = Calendar("one", ZoneInfo(zone), (Week(frozenset({day}), Hours(opens, opens + length)),))
    for session in calendar.sessions(now, now + 30 * DAY):
        assert session.opens < session.closes
        # A clock that is put forward or back by at most an hour.
        assert abs(session.closes - session.opens - length * MINUTE) <= 60 * MINUTE
        wall = to_datetime(session.opens).astimezone(calendar.zone)
        shifted = to_datetime(session.opens - DAY).astimezone(calendar.zone).utcoffset() != wall.utcoffset()
        assert shifted or (wall.weekday(), wall.hour * 60 + wall.minute) == (day, opens)


def test_a_window_whose_beginning_is_left_out_in_spring_opens_nevertheless():
    night = Calendar("night", ZoneInfo("America/New_York"), (Week(frozenset({6}), Hours(2 * 60 + 59, 3 * 60 + 1)),))
    # 02:00 to 03:00 of 14 March 2027 do not exist; 03:01 does, at 07:01 UTC.
    (session,) = night.sessions(time("2027-03-14T00:00"), time("2027-03-15T00:00"))
    assert session.opens < time("2027-03-14T07:00") < session.closes == time("2027-03-14T07:01")


def test_a_rule_holds_from_its_date_on():
    tokyo = market("XTKS")
    assert ask(tokyo, "2024-11-01T03:30")[2] == "2024-11-01T06:00"
    assert ask(tokyo, "2024-11-05T03:30")[2] == "2024-11-05T06:30"


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2019-12-31T12:00", "the table of XNYS begins on 2020-01-01"),
        ("2028-06-01T12:00", "the table of XNYS ends on "),
        ("9000-01-01T00:00", "the table of XNYS ends on "),
    ],
)
def test_outside_of_its_table_a_calendar_says_so(moment, words):
    place = at(market("XNYS"), time(moment))
    assert isinstance(place, Unknown)
    assert place.reason.startswith(words)


def test_after_the_last_session_of_a_table_nobody_knows_the_next_opening():
    week = Week(frozenset(range(5)), Hours(600, 700))
    short = Calendar("short", ZoneInfo("UTC"), (week,), {}, date(2026, 11, 2), date(2026, 11, 8))
    assert ask(short, "2026-11-05T12:00") == (False, None, None, "2026-11-06T10:00")
    assert at(short, time("2026-11-06T11:00")) == Unknown("the table of short ends on 2026-11-08")


def test_no_session_is_given_from_outside_of_a_table():
    new_york = market("XNYS")
    found = list(new_york.sessions(time("2027-11-01T00:00"), time("2090-01-01T00:00")))
    assert found[-1].closes <= new_york.end < time("2030-01-01T00:00")
    assert list(new_york.sessions(time("2030-01-01T00:00"), time("2090-01-01T00:00"))) == []


@pytest.mark.parametrize(
    "hours", [(600, 600), (-1441, 0), (0, 2881), (600, 700, (600, 650)), (600, 700, (650, 700)), (600, 700, (660, 650))]
)
def test_hours_that_no_session_has_are_refused(hours):
    with pytest.raises(ValueError, match="a session "):
        Hours(*hours)


STRETCHES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=8).map(
    lambda pairs: sorted((Session(start, start + length) for start, length in pairs), key=lambda one: one.opens)
)


def minutes(sessions: list[Session]) -> set[int]:
    return {minute for one in sessions for minute in range(one.opens, one.closes)}


@given(STRETCHES, STRETCHES, st.integers(1, 10))
def test_joining_and_taking_out_keep_each_minute_where_it_belongs(sessions, others, gap):
    found = list(joined(sessions))
    assert minutes(found) == minutes(sessions)
    assert all(before.closes < after.opens for before, after in pairwise(found))
    assert minutes(list(without(found, joined(others)))) == minutes(sessions) - minutes(others)
    wide = list(joined(sessions, gap))
    assert all(after.opens - before.closes >= gap for before, after in pairwise(wide))
    assert minutes(wide) >= minutes(sessions)


def test_the_market_that_never_closes_is_open_for_as_long_as_anybody_looks():
    now = time("2026-12-01T12:00")
    (stretch,) = joined(ALWAYS_OPEN.sessions(now, now + HORIZON))
    assert stretch.opens <= now
    assert stretch.closes >= now + HORIZON
