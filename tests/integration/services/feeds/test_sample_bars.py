# SPDX-License-Identifier: Apache-2.0
"""The lab's year of bars as its feed reads them: every line a possible bar, and no hole but Christmas."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import pytest
import yaml
from station.clock import of_datetime
from station.config.feeds import BarFile
from station.feeds.data import check
from station.feeds.files import read
from station.feeds.intervals import HOUR
from station.feeds.port import ClosedBar
from station.feeds.sessions import Sessions
from station.modes.markets import market
from station.runtime.sources import layout

from fleet.paths import PROJECT
from lab import samples


@pytest.fixture(scope="module")
def bars() -> list[ClosedBar]:
    feed = yaml.safe_load((PROJECT / "group_vars/lab.yml").read_text())["services_instances"][1]["feed"]
    return list(read(samples.provide(), layout(BarFile(**feed["files"][0]), HOUR)))


def test_every_line_is_a_bar_with_the_line_s_numbers_an_hour_after_its_open(bars: list[ClosedBar]):
    with samples.provide().open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    opened = [datetime.strptime(line["Time"], "%d.%m.%Y %H:%M:%S.%f").replace(tzinfo=UTC) for line in lines]
    assert [one.closed_at for one in bars] == [of_datetime(start) + HOUR for start in opened]
    found = [(one.bar.open, one.bar.high, one.bar.low, one.bar.close, one.bar.volume) for one in bars]
    columns = ("Open", "High", "Low", "Close", "Volume")
    assert [tuple(map(float, numbers)) for numbers in found] == [
        tuple(float(line[c]) for c in columns) for line in lines
    ]


def test_the_bars_are_those_of_the_weeks_of_currencies_but_for_christmas(bars: list[ClosedBar]):
    seen = check(iter(bars), HOUR, Sessions(market("fx")))
    assert "EURUSD  6225  2017-01-01T23:00:00Z  2017-12-29T22:00:00Z" in str(seen)
    assert seen.findings == {("EURUSD", "gap"): 2}
