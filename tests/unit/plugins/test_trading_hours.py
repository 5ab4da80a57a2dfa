# SPDX-License-Identifier: Apache-2.0
"""What plays are told about a host's trading hours."""

from datetime import datetime

from plugins.filter.trading_hours import trading_hours

SUNDAY = {"days": ["Sun"], "from": "02:00", "until": "04:00", "timezone": "Etc/UTC"}


def test_a_play_is_told_whether_why_and_until_when_a_host_is_frozen():
    assert trading_hours(["XNYS"], now="2026-11-27T12:59:00-05:00") == {
        "frozen": True,
        "near": True,
        "window": "XNYS",
        "closes": "2026-11-27T18:00:00+00:00",
        "opens": "2026-11-30T14:30:00+00:00",
        "until": "Fri 2026-11-27 13:00 America/New_York",
        "problems": [],
    }


def test_a_host_that_trades_nothing_is_free():
    found = trading_hours([])
    assert (found["frozen"], found["until"], found["opens"]) == (False, "", "")


def test_the_margin_and_the_windows_of_both_kinds_count():
    window = SUNDAY | {"from": "01:00", "until": "06:00"}
    assert trading_hours([], [window], now="2026-11-29T00:40:00+00:00", margin_minutes=25)["near"]
    assert trading_hours([], [window], [SUNDAY], now="2026-11-29T03:00:00+00:00")["frozen"] is False


def test_what_cannot_be_read_is_told_and_freezes():
    found = trading_hours(["NYSE"], now="2026-11-28T12:00:00+00:00")
    assert (found["frozen"], found["until"]) == (True, "trading_markets is corrected")
    assert found["problems"] == ["trading_markets[0]: there is no market 'NYSE'; write XNYS"]


def test_without_a_time_it_is_now():
    opens = trading_hours([], [SUNDAY | {"days": ["Mon", "Thu"]}])["opens"]
    assert 0 < (datetime.fromisoformat(opens) - datetime.now().astimezone()).total_seconds() < 5 * 86_400
