# SPDX-License-Identifier: Apache-2.0
"""Markets by name, and what their tables say."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta

import pytest
from station.errors import StationError
from station.modes.markets import TABLES, market, names, parse, suggestion

# NYSE Group's announcement of 2025-12-23, "2026, 2027 and 2028 Holiday and Early Closings Calendar".
NEW_YORK_CLOSED = {
    "2026-01-01", "2026-01-19", "2026-02-16", "2026-04-03", "2026-05-25", "2026-06-19", "2026-07-03", "2026-09-07",
    "2026-11-26", "2026-12-25", "2027-01-01", "2027-01-18", "2027-02-15", "2027-03-26", "2027-05-31", "2027-06-18",
    "2027-07-05", "2027-09-06", "2027-11-25",
}  # fmt: skip
NEW_YORK_HALF = {"2026-11-27", "2026-12-24", "2027-11-26"}

TABLE = """
timezone = "Asia/Hong_Kong"
first = 2026-01-01
last = 2026-12-31
[[weeks]]
since = 2026-01-01
days = ["Mon", "Tue"]
hours = "09:30-16:00"
pause = "12:00-13:00"
[exceptions]
2026-02-02 = "closed"
2026-02-03 = "09:30-12:00"
"""


@pytest.mark.parametrize("name", ["XNYS", "XNAS"])
def test_new_york_rests_and_closes_early_when_the_exchange_says_so(name):
    calendar = market(name)
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range((date(2027, 11, 30) - date(2026, 1, 1)).days)]
    week = {day: calendar.hours(day) for day in days if day.weekday() < 5}
    assert {str(day) for day, hours in week.items() if hours is None} == NEW_YORK_CLOSED
    half = {str(day): hours for day, hours in week.items() if hours and hours.closes != 16 * 60}
    assert half.keys() == NEW_YORK_HALF
    assert {(hours.opens, hours.closes) for hours in half.values()} == {(570, 780)}
    assert not any(calendar.hours(day) for day in days if day.weekday() > 4)


@pytest.mark.parametrize("name", sorted(set(names()) - {"24/7", "fx"}))
def test_each_table_can_be_read_and_reaches_a_year_from_when_it_was_made(name):
    calendar = market(name)
    assert calendar.first == date(2020, 1, 1)
    assert calendar.last >= date(2027, 12, 1)
    assert calendar.exceptions.keys() <= {
        calendar.first + timedelta(days=number) for number in range((calendar.last - calendar.first).days + 1)
    }


def test_a_half_day_has_no_lunch_and_a_closed_one_nothing():
    calendar = parse("XHKG", TABLE)
    usual, closed, half = (calendar.hours(date(2026, 2, day)) for day in (9, 2, 3))
    assert (usual and usual.pause, closed, half and (half.closes, half.pause)) == ((720, 780), None, (720, None))


def test_hours_that_close_before_they_open_began_the_day_before():
    hours = parse("X", TABLE.replace("09:30-16:00", "17:00-16:00")).hours(date(2026, 2, 9))
    assert hours is not None
    assert (hours.opens, hours.closes) == (-7 * 60, 16 * 60)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("09:30-16:00", "9.30-16"),
        ('"closed"', '"shut"'),
        ('"Mon"', '"Montag"'),
        ("Asia/Hong_Kong", "Mars/Olympus"),
        ("last = 2026-12-31", ""),
        ("[exceptions]", "[exceptions"),
    ],
)
def test_a_broken_table_is_refused_with_its_file_and_the_command_that_makes_it(old, new, tmp_path, monkeypatch):
    monkeypatch.setattr("station.modes.markets.TABLES", tmp_path)
    (tmp_path / "XHKG.toml").write_text(TABLE.replace(old, new))
    with pytest.raises(StationError, match=r"XHKG\.toml: cannot be read .*python -m tools\.sessions"):
        market.__wrapped__("XHKG")


@pytest.mark.parametrize(
    ("mistaken", "words"),
    [("NYSE", "XNYS"), ("xnys", "XNYS"), ("FX", "fx"), ("24x7", "24/7"), ("CME", "CMES"), ("NASDAQ", "XNAS")],
)
def test_a_mistaken_name_is_answered_with_what_is_like_it(mistaken, words):
    assert words in suggestion(mistaken)
    with pytest.raises(StationError, match=f'"{mistaken}" is no market; write .*{words}'):
        market(mistaken)


def test_what_is_like_nothing_is_answered_with_all_names():
    assert suggestion("?") == "24/7, CMES, XETR, XHKG, XLON, XNAS, XNYS, XTKS or fx"


def test_a_table_of_each_file_has_a_name():
    assert {path.stem for path in TABLES.iterdir()} <= set(names())


def test_reading_a_table_needs_no_library_that_is_slow_to_import():
    program = "import sys; from station.modes.trading_hours import market; market('XNYS'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "numpy", "pydantic", "yaml", "exchange_calendars"} & set(loaded)
