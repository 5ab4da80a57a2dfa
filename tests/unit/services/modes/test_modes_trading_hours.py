# SPDX-License-Identifier: Apache-2.0
"""A host is frozen while its markets trade, unless it trades nothing, and until its settings can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from station.clock import of_datetime, to_datetime
from station.modes.calendar import HORIZON
from station.modes.markets import DAYS, market, names
from station.modes.trading_hours import Freeze, freeze, read, trading_hours_problems

from tests.unit.services.modes.test_modes_windows import ANYTHING

MINUTE = 60_000_000
WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri"]
NEW_YORK = {"days": WEEK, "from": "09:30", "until": "16:00", "timezone": "America/New_York"}
NIGHT = {"days": ["Sun"], "from": "18:00", "until": "03:00", "timezone": "Europe/Berlin"}
SUNDAY = {"days": ["Sun"], "from": "02:00", "until": "04:00", "timezone": "Etc/UTC"}


def time(text: str) -> int:
    return of_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def ask(now: str | int, margin: int = 0, /, **settings: Any) -> Freeze:
    hours = read({f"trading_{key}": value for key, value in settings.items()})
    return freeze(hours, now if isinstance(now, int) else time(now), margin)


def text(moment: int | None) -> str | None:
    return None if moment is None else to_datetime(moment).isoformat()[:16]


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        ("2026-01-05T14:30:00", True),  # 09:30 in winter, a Monday
        ("2026-01-05T14:29:59", False),
        ("2026-07-06T13:30:00", True),  # 09:30 in summer
        ("2026-07-06T13:29:59", False),
        ("2026-01-05T20:59:59", True),
        ("2026-01-05T21:00:00", False),  # 16:00, over
        ("2026-01-03T15:00:00", False),  # a Saturday
        ("2026-03-09T13:30:00", True),  # the Monday after the clocks went forward
        ("2026-11-02T13:30:00", False),  # the Monday after they went back
    ],
)
def test_hours_are_those_of_the_windows_zone_in_winter_and_summer(now, frozen):
    assert ask(now, windows=[NEW_YORK]).frozen is frozen


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        ("2026-01-04T17:00:00", True),  # Sunday 18:00
        ("2026-01-05T01:59:00", True),  # Monday 02:59
        ("2026-01-05T02:00:00", False),
        ("2026-01-05T17:30:00", False),  # Monday evening
        ("2026-03-29T00:30:00", False),  # the night of the change belongs to Saturday
        ("2026-03-30T00:59:00", True),  # 02:59 in summer
        ("2026-03-30T01:00:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens(now, frozen):
    assert ask(now, windows=[NIGHT]).frozen is frozen


def test_a_host_without_markets_is_never_frozen():
    assert ask("2026-01-05T15:00") == Freeze(False, False, "", None, ZoneInfo("UTC"), None, ())
    assert ask("2026-01-05T15:00", markets=[], windows=[], maintenance_windows=[SUNDAY]).frozen is False


def test_a_window_does_not_know_holidays_and_a_market_does():
    thanksgiving = "2026-11-26T15:00"
    assert ask(thanksgiving, windows=[NEW_YORK]).why == "Mon,Tue,Wed,Thu,Fri 09:30-16:00 America/New_York"
    found = ask(thanksgiving, markets=["XNYS"])
    assert (found.frozen, found.why, found.until, text(found.opens)) == (False, "", None, "2026-11-27T14:30")


def test_a_host_is_frozen_until_the_last_of_its_markets_that_follow_each_other_closes():
    # London from 08:00, New York from 14:30 to 21:00, in winter.
    found = ask("2026-12-01T09:00", markets=["XLON", "XNYS"])
    assert (found.frozen, found.why, found.ends, text(found.opens)) == (
        True,
        "XLON",
        "Tue 2026-12-01 16:00 America/New_York",
        "2026-12-02T08:00",
    )
    assert ask("2026-12-01T15:00", markets=["XLON", "XNYS"]).why == "XLON and XNYS"


def test_lunch_is_no_time_to_change_a_host():
    assert ask("2026-12-01T03:00", markets=["XTKS"]).frozen


def test_shortly_before_an_opening_is_near_and_not_frozen():
    found = ask("2026-11-27T14:10", 25, markets=["XNYS"])
    assert (found.frozen, found.near, found.why, found.ends) == (False, True, "XNYS", "")
    assert ask("2026-11-27T14:00", 25, markets=["XNYS"]).near is False


def test_a_maintenance_window_frees_a_host_whose_market_never_closes():
    settings: dict[str, Any] = {"markets": ["24/7"], "maintenance_windows": [SUNDAY]}
    before = ask("2026-11-29T01:59", **settings)
    assert (before.frozen, text(before.until), text(before.opens)) == (True, "2026-11-29T02:00", "2026-11-29T04:00")
    inside = ask("2026-11-29T03:00", 30, **settings)
    assert (inside.frozen, inside.near, inside.why, text(inside.opens)) == (False, False, "", "2026-11-29T04:00")
    last = ask("2026-11-29T03:40", 30, **settings)
    assert (last.frozen, last.near, last.why) == (False, True, "24/7")


def test_a_host_that_always_trades_is_frozen_until_it_declares_when_it_does_not():
    found = ask("2026-11-29T03:00", markets=["24/7"])
    assert (found.frozen, found.until, found.opens) == (True, None, None)
    assert found.ends == "trading_maintenance_windows names a time in which it trades nothing"


@pytest.mark.parametrize(
    ("settings", "line", "ends"),
    [
        (
            {"markets": ["XNYS", "NYSE"]},
            "trading_markets[1]: there is no market 'NYSE'; write XNYS",
            "trading_markets is corrected",
        ),
        ({"markets": "XNYS"}, "trading_markets: 'XNYS' is no list; write [] for none", "trading_markets is corrected"),
        (
            {"markets": [5]},
            "trading_markets[0]: there is no market 5; write 24/7, ",
            "trading_markets is corrected",
        ),
        (
            {"windows": [NEW_YORK, NEW_YORK | {"timezone": "Mars/Olympus"}]},
            "trading_windows[1].timezone: there is no time zone 'Mars/Olympus'",
            "trading_windows is corrected",
        ),
        (
            {"markets": ["XNYS"], "maintenance_windows": [{}]},
            "trading_maintenance_windows[0].days: None are no days",
            "trading_maintenance_windows is corrected",
        ),
    ],
)
def test_what_cannot_be_read_freezes_a_host_until_it_is_corrected(settings, line, ends):
    for now in ("2026-11-28T12:00", "2026-11-27T15:00"):
        found = ask(now, **settings)
        assert (found.frozen, found.near, found.ends) == (True, True, ends)
        assert str(found.problems[0]).startswith(line)


def test_beyond_its_table_a_market_freezes_the_host_and_says_what_makes_a_new_one():
    (problem,) = ask("2035-01-01T12:00", markets=["XNYS"]).problems
    assert str(problem).startswith("trading_markets: the table of XNYS ends on ")
    assert str(problem).endswith("; run `python -m tools.sessions` in the repository and commit what it writes")


def problems(now: str = "2026-12-01T12:00", **settings: Any) -> list[str]:
    named = {f"trading_{key}": value for key, value in settings.items()}
    return [str(problem) for problem in trading_hours_problems(named, time(now))]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"markets": ["fx"]},
        {"markets": ["fx", "CMES", "XNYS", "XLON", "XTKS"]},
        {"markets": ["24/7"], "maintenance_windows": [SUNDAY]},
        {"markets": ["24/7", "fx"], "maintenance_windows": [SUNDAY | {"timezone": "America/New_York"}]},
        {"windows": [{"days": list(DAYS), "from": "00:00", "until": "22:00", "timezone": "America/New_York"}]},
    ],
)
def test_a_host_with_two_free_hours_a_week_is_accepted(settings):
    assert problems(**settings) == []


@pytest.mark.parametrize(
    ("settings", "who"),
    [
        ({"markets": ["24/7"]}, "24/7 leaves"),
        ({"markets": ["fx", "24/7"]}, "fx and 24/7 leave"),
        ({"markets": ["24/7"], "maintenance_windows": [SUNDAY | {"until": "03:59"}]}, "24/7 leaves"),
        # An hour here and an hour there is no time to change anything.
        (
            {"markets": ["24/7"], "maintenance_windows": [SUNDAY | {"days": list(DAYS), "until": "03:30"}]},
            "24/7 leaves",
        ),
        # It would be enough in winter; in summer New York opens an hour earlier.
        (
            {
                "windows": [
                    {"days": list(DAYS), "from": "09:30", "until": "08:30", "timezone": "America/New_York"},
                    {"days": list(DAYS), "from": "14:30", "until": "12:30", "timezone": "Etc/UTC"},
                ]
            },
            "America/New_York and",
        ),
        # It is enough but for two weeks of March, when New York's clocks are put forward and London's are not yet.
        (
            {
                "windows": [
                    {"days": list(DAYS), "from": "00:00", "until": "17:00", "timezone": "Europe/London"},
                    {"days": list(DAYS), "from": "14:00", "until": "19:00", "timezone": "America/New_York"},
                ]
            },
            "Europe/London and",
        ),
    ],
)
def test_a_host_with_less_has_to_declare_when_it_trades_nothing(settings, who):
    (line,) = problems(**settings)
    assert line.startswith("trading_maintenance_windows: ")
    assert who in line
    assert "the host less than 2 free hours at a time in a week; name a time" in line


def test_a_week_of_holidays_does_not_hide_that_a_host_never_rests():
    # Globex rests around Christmas, which is no rest of every week.
    without_weekend = {"days": ["Fri", "Sat", "Sun"], "from": "12:00", "until": "11:59", "timezone": "America/Chicago"}
    settings = {"markets": ["CMES"], "windows": [without_weekend]}
    assert len(problems("2026-12-20T12:00", **settings)) == len(problems("2026-11-02T12:00", **settings)) == 1


def test_a_table_that_ends_in_less_than_thirty_days_is_a_problem_and_does_not_freeze():
    last = datetime.combine(market("XNYS").last, datetime.min.time())
    soon, later = (str((last - timedelta(days=days)).date()) for days in (29, 30))
    (line,) = problems(soon, markets=["XNYS", "fx"])
    assert line.startswith(f"trading_markets: the table of XNYS ends on {last.date()}, in 29 days; run ")
    assert problems(later, markets=["XNYS", "fx"]) == []
    assert ask(soon, markets=["XNYS"]).problems == ()


def test_mistakes_are_said_before_anything_is_concluded_from_the_rest():
    (line,) = problems(markets=["24/7"], maintenance_windows=["Sunday"])
    assert line.startswith("trading_maintenance_windows[0]: 'Sunday' is no window")


CLOCKS = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda clock: f"{clock[0]:02}:{clock[1]:02}")
WINDOWS = st.builds(
    lambda days, start, end, zone: {"days": days, "from": start, "until": end, "timezone": zone},
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
    CLOCKS,
    CLOCKS,
    st.sampled_from(["America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe", "Etc/UTC"]),
).filter(lambda window: window["from"] != window["until"])
SETTINGS = st.fixed_dictionaries(
    {
        "markets": st.lists(st.sampled_from(names()), max_size=3),
        "windows": st.lists(WINDOWS, max_size=3),
        "maintenance_windows": st.lists(WINDOWS, max_size=2),
    }
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 10, 1)).map(  # noqa: DTZ001
    lambda moment: of_datetime(moment.replace(tzinfo=UTC))
)


def hours(day: str, start: str, end: str) -> dict[str, Any]:
    return {"days": [day], "from": start, "until": end, "timezone": "America/New_York"}


# All that there is to trade is taken out by two that rest, of which the second begins where nobody looks any more.
@example(
    {
        "markets": [],
        "windows": [hours("Fri", "01:00", "00:01")],
        "maintenance_windows": [hours("Fri", "00:01", "00:00"), hours("Sat", "00:00", "00:01")],
    },
    time("2024-12-07T00:00"),
)
@given(SETTINGS, MOMENTS)
def test_the_end_and_the_next_opening_lie_ahead_and_change_the_answer(settings, now):
    found = ask(now, **settings)
    assert found.problems == ()
    assert found.near == found.frozen == bool(found.why)
    if found.until is not None:
        assert found.frozen
        assert now < found.until < now + HORIZON
        assert ask(found.until - 1, **settings).frozen
        assert not ask(found.until, **settings).frozen
    if found.opens is not None:
        assert now < found.opens
        assert ask(found.opens, **settings).frozen
        assert ask(found.opens - MINUTE, 2, **settings).near
        assert not ask(found.opens - 1, **settings).frozen


@given(SETTINGS, MOMENTS)
def test_a_host_is_frozen_if_one_of_its_markets_is_on_and_it_does_not_rest(settings, now):
    trades = any(ask(now, markets=[name]).frozen for name in settings["markets"])
    trades |= any(ask(now, windows=[window]).frozen for window in settings["windows"])
    rests = any(ask(now, windows=[window]).frozen for window in settings["maintenance_windows"])
    assert ask(now, **settings).frozen is (trades and not rests)


@given(st.fixed_dictionaries(dict.fromkeys(("markets", "windows", "maintenance_windows"), ANYTHING)))
def test_whatever_is_written_is_read_or_a_problem_with_its_key(settings):
    lines = problems(**settings)
    assert all(line.startswith("trading_") for line in lines)
    if lines:
        assert ask("2026-12-01T12:00", **settings).frozen or "trading_maintenance_windows: " in lines[0]
