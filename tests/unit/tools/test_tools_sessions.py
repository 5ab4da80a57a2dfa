# SPDX-License-Identifier: Apache-2.0
"""The tables of sessions say what the library says, in few lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from station.modes.calendar import Hours
from station.modes.markets import TABLES, market, parse

from tools.sessions import MARKETS, Schedule, ask, table

MONDAY = date(2026, 1, 5)
USUAL, LATER = Hours(540, 900, (690, 750)), Hours(540, 930, (690, 750))


def schedule(**changes: Hours | None) -> Schedule:
    hours = {MONDAY + timedelta(days=number): USUAL for number in range(28) if number % 7 < 5}
    for day, other in changes.items():
        hours.pop(date(2026, 1, int(day[1:])), None)
        if other:
            hours[date(2026, 1, int(day[1:]))] = other
    return Schedule("X", "Asia/Tokyo", MONDAY, MONDAY + timedelta(days=27), hours)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_a_table_is_a_week_and_what_differs_from_it():
    text = table(schedule(_12=None, _13=Hours(540, 690), _17=USUAL), "a test")
    assert lines(text) == [
        'timezone = "Asia/Tokyo"',
        "first = 2026-01-05",
        "last = 2026-02-01",
        "[[weeks]]",
        "since = 2026-01-05",
        'days = ["Mon", "Tue", "Wed", "Thu", "Fri"]',
        'hours = "09:00-15:00"',
        'pause = "11:30-12:30"',
        "[exceptions]",
        '2026-01-12 = "closed" # Mon',
        '2026-01-13 = "09:00-11:30" # Tue',
        '2026-01-17 = "09:00-15:00" # Sat',
    ]


def test_new_rules_are_a_second_week_and_no_exceptions():
    later = {day: LATER if day >= date(2026, 1, 20) else hours for day, hours in schedule().hours.items()}
    text = table(replace(schedule(), hours=later, changes=frozenset({date(2026, 1, 20), date(2000, 1, 1)})), "a test")
    assert [line for line in lines(text) if line.startswith(("since", "hours", "2026"))] == [
        "since = 2026-01-05",
        'hours = "09:00-15:00"',
        "since = 2026-01-20",
        'hours = "09:00-15:30"',
    ]
    assert {day: parse("X", text).hours(day) for day in later} == later


def test_a_session_that_the_table_cannot_say_is_refused():
    with pytest.raises(ValueError, match="X: 2026-01-13 would be read as"):
        table(schedule(_13=Hours(540, 900)), "a test")


# The library's own, about the next pandas.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", MARKETS)
def test_a_committed_table_is_what_the_library_says(name):
    calendar = market(name)
    said = ask(name, calendar.first, calendar.last)
    days = [calendar.first + timedelta(days=number) for number in range((calendar.last - calendar.first).days + 1)]
    assert {day: hours for day in days if (hours := calendar.hours(day))} == said.hours
    text = (TABLES / f"{name}.toml").read_text()
    assert lines(table(said, "")) == lines(text), "run `python -m tools.sessions`"
