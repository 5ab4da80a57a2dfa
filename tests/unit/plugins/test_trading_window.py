# SPDX-License-Identifier: Apache-2.0
"""Market hours: zones, daylight saving, windows over midnight, and what is no window."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.filter.trading_window import DAYS, at, read, trading_window

WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri"]
NEW_YORK = {"days": WEEK, "from": "09:30", "until": "16:00", "timezone": "America/New_York"}
NIGHT = {"days": ["Sun"], "from": "18:00", "until": "03:00", "timezone": "Europe/Berlin"}
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        ("2026-01-05T14:30:00+00:00", True),  # 09:30 in winter, a Monday
        ("2026-01-05T14:29:59+00:00", False),
        ("2026-07-06T13:30:00+00:00", True),  # 09:30 in summer
        ("2026-07-06T13:29:59+00:00", False),
        ("2026-01-05T20:59:59+00:00", True),
        ("2026-01-05T21:00:00+00:00", False),  # 16:00, over
        ("2026-01-03T15:00:00+00:00", False),  # a Saturday
        ("2026-03-09T13:30:00+00:00", True),  # the Monday after the clocks went forward
        ("2026-11-02T13:30:00+00:00", False),  # the Monday after they went back
    ],
)
def test_hours_are_those_of_the_windows_zone_in_winter_and_summer(now, inside):
    assert trading_window([NEW_YORK], now)["inside"] is inside


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        ("2026-01-04T17:00:00+00:00", True),  # Sunday 18:00
        ("2026-01-05T01:59:00+00:00", True),  # Monday 02:59
        ("2026-01-05T02:00:00+00:00", False),
        ("2026-01-05T17:30:00+00:00", False),  # Monday evening
        ("2026-03-29T00:30:00+00:00", False),  # the night of the change belongs to Saturday
        ("2026-03-30T00:59:00+00:00", True),  # 02:59 in summer
        ("2026-03-30T01:00:00+00:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens(now, inside):
    assert trading_window([NIGHT], now)["inside"] is inside


def test_closing_and_opening_are_told():
    found = trading_window([NEW_YORK], "2026-01-09T20:00:00+00:00")
    assert found["closes"] == "2026-01-09T21:00:00+00:00"
    assert found["opens"] == "2026-01-12T14:30:00+00:00"
    assert found["window"] == "Mon,Tue,Wed,Thu,Fri 09:30-16:00 America/New_York"


def test_shortly_before_an_opening_is_near_and_not_inside():
    found = trading_window([NEW_YORK], "2026-01-05T14:10:00+00:00", 25)
    assert (found["inside"], found["near"]) == (False, True)
    assert trading_window([NEW_YORK], "2026-01-05T14:00:00+00:00", 25)["near"] is False


def test_no_window_is_never():
    assert trading_window([]) == {
        "inside": False,
        "near": False,
        "window": "",
        "closes": "",
        "opens": "",
        "problems": [],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timezone": "Mars/Olympus"}, 'there is no time zone "Mars/Olympus"'),
        ({"timezone": ""}, 'there is no time zone ""'),
        ({"from": "9.30"}, "'9.30' is no time of day; write HH:MM in quotes"),
        ({"from": 34200}, "34200 is no time of day"),  # YAML reads 9:30 as a number to base 60
        ({"until": "24:00"}, "hour must be in 0..23"),
        ({"until": "09:30"}, "from and until are both 09:30"),
        ({"days": ["Montag"]}, "days is Montag; write some of Mon, Tue"),
        ({"days": []}, "days is empty"),
    ],
)
def test_what_is_no_window_is_named_with_its_place(change, message):
    (line,) = trading_window([NEW_YORK, NEW_YORK | change])["problems"]
    assert line.startswith("kernel_trading_windows[1]: ")
    assert message in line


CLOCKS = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda clock: f"{clock[0]:02}:{clock[1]:02}")
WINDOWS = st.builds(
    lambda days, start, end, zone: {"days": days, "from": start, "until": end, "timezone": zone},
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
    CLOCKS,
    CLOCKS,
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe", "Etc/UTC"]),
).filter(lambda window: window["from"] != window["until"])


@given(st.lists(WINDOWS, min_size=1, max_size=3), MOMENTS)
def test_closing_and_opening_lie_ahead_and_change_the_answer(entries, now):
    windows = [read(entry) for entry in entries]
    found = at(windows, now, timedelta())
    assert found["inside"] == bool(found["closes"])
    assert found["near"] == found["inside"]
    if found["closes"]:
        closing = datetime.fromisoformat(found["closes"])
        assert now < closing
        assert at(windows, closing - timedelta(seconds=1), timedelta())["inside"]
    opening = datetime.fromisoformat(found["opens"])
    assert now < opening <= now + timedelta(days=8)
    assert at(windows, opening, timedelta())["inside"]
    assert at(windows, opening - timedelta(minutes=1), timedelta(minutes=2))["near"]
