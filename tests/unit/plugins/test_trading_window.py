# SPDX-License-Identifier: Apache-2.0
"""Market hours as the roles of the kernel layer ask for them."""

from datetime import datetime

import pytest

from plugins.filter.trading_window import trading_window

WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri"]
NEW_YORK = {"days": WEEK, "from": "09:30", "until": "16:00", "timezone": "America/New_York"}


def test_closing_and_opening_are_told():
    assert trading_window([NEW_YORK], "2026-01-09T20:00:00+00:00") == {
        "inside": True,
        "near": True,
        "window": "Mon,Tue,Wed,Thu,Fri 09:30-16:00 America/New_York",
        "closes": "2026-01-09T21:00:00+00:00",
        "opens": "2026-01-12T14:30:00+00:00",
        "problems": [],
    }


def test_shortly_before_an_opening_is_near_and_not_inside():
    found = trading_window([NEW_YORK], "2026-01-05T14:10:00+00:00", 25)
    assert (found["inside"], found["near"], found["closes"]) == (False, True, "")
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


def test_windows_that_never_close_have_a_closing_that_lies_ahead():
    days = [*WEEK, "Sat", "Sun"]
    halves = [
        {"days": days, "from": start, "until": end, "timezone": "Etc/UTC"}
        for start, end in (("00:00", "12:00"), ("12:00", "00:00"))
    ]
    now = "2026-01-09T20:00:00+00:00"
    found = trading_window(halves, now)
    assert found["inside"]
    assert datetime.fromisoformat(found["closes"]) > datetime.fromisoformat(now)


@pytest.mark.parametrize("windows", [[NEW_YORK | {"timezone": "Mars/Olympus"}], [NEW_YORK | {"until": 960}]])
def test_what_is_no_window_is_named_with_the_roles_variable_and_the_others_count(windows):
    found = trading_window([NEW_YORK, *windows], "2026-01-09T20:00:00+00:00")
    (line,) = found["problems"]
    assert line.startswith("kernel_trading_windows[1].")
    assert found["closes"] == "2026-01-09T21:00:00+00:00"
    assert trading_window(windows, "2026-01-09T20:00:00+00:00")["inside"] is False
