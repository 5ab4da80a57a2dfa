# SPDX-License-Identifier: Apache-2.0
"""`station data`: what it prints and which exit status it has."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from station import codec
from station.bus.memory import MemoryBus, Streams
from station.cli import data
from station.domain.market import Bar
from station.events import MarketEvent
from station.feeds.port import ClosedBar
from station.feeds.questdb import Series

from tests.unit.services.cli.cli_kit import Said, told, write

HOUR = 3_600_000_000


class Rows:
    """The table of bars, with some of them."""

    def __init__(self, closes: set[int]) -> None:
        self.there = closes
        self.asked: list[Series] = []

    def closes(self, series: Series, start: int, end: int) -> list[int]:
        self.asked.append(series)
        return [close for close in sorted(self.there) if start < close <= end]


def test_data_check_says_what_is_odd(feed_file: Path, tmp_path: Path, capsys: Said) -> None:
    found, output, _ = told(["data", "check", str(feed_file)], capsys)
    assert (found, output.splitlines()[1].split()[:2]) == (0, ["EURUSD", "4"])
    with (tmp_path / "bars.csv").open("a") as file:
        file.write("18000,1.1,1.2,1.0,1.1,0\n21600,1.1,1.0,1.2,1.1,0\n")
    found, output, _ = told(["data", "check", str(feed_file)], capsys)
    assert found == 1
    assert {"duplicate", "impossible"} <= set(output.split())


def test_data_load_publishes_what_the_database_lacks_on_a_stream_of_its_own(
    feed_file: Path, tmp_path: Path, streams: Streams, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows({HOUR, 2 * HOUR})
    monkeypatch.setattr(data, "_table", lambda _: rows)
    found, output, _ = told(["data", "load", str(feed_file), "--state", str(tmp_path / "history")], capsys)
    assert found == 0
    events = [codec.decode(entry.data) for entry in MemoryBus(streams).read("md:history", "0-0", 100)]
    assert [event.timestamp for event in events if isinstance(event, MarketEvent)] == [3 * HOUR, 5 * HOUR]
    assert rows.asked == [Series("EURUSD", "test", HOUR)]
    assert output.splitlines()[1].split()[:2] == ["EURUSD", "2"]


SPAN = ["--start", "2025-11-20T00:00Z", "--end", "2025-11-20T05:00Z"]
MIDNIGHT = 1_763_596_800_000_000


def test_data_gaps_are_status_1(live_file: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows({MIDNIGHT + hour * HOUR for hour in (1, 2, 5)})
    monkeypatch.setattr(data, "_table", lambda _: rows)
    found, output, _ = told(["data", "gaps", str(live_file), *SPAN], capsys)
    assert found == 1
    assert output.splitlines()[1].split() == ["BTC/USD", "2", "2025-11-20T03:00:00Z", "2025-11-20T04:00:00Z"]
    assert rows.asked == [Series("BTC/USD", "kraken", HOUR)]
    rows.there |= {MIDNIGHT + hour * HOUR for hour in (3, 4)}
    assert told(["data", "gaps", str(live_file), *SPAN], capsys) == (0, "no gaps\n", "")


class Vendor:
    """A vendor that has one of the two bars that are missing."""

    interval = HOUR
    symbols = ("BTC/USD",)

    def history(self, symbol: str, start: int, end: int) -> list[ClosedBar]:
        price = Decimal(90_000)
        bar = Bar(
            symbol=symbol,
            interval=HOUR,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=Decimal(1),
            source="kraken",
        )
        close = MIDNIGHT + 3 * HOUR
        return [ClosedBar(bar, close, close)] if start < close <= end else []


def test_data_backfill_publishes_what_the_vendor_has_and_says_what_is_left(
    live_file: Path, tmp_path: Path, streams: Streams, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_table", lambda _: Rows({MIDNIGHT + hour * HOUR for hour in (1, 2, 5)}))
    monkeypatch.setattr(data, "_feed", lambda _: Vendor())
    words = ["data", "backfill", str(live_file), *SPAN, "--state", str(tmp_path / "history")]
    found, output, _ = told(words, capsys)
    assert found == 1
    assert output.splitlines()[1].split()[-3:] == ["2", "1", "1"]
    events = [codec.decode(entry.data) for entry in MemoryBus(streams).read("md:history", "0-0", 100)]
    assert [event.timestamp for event in events if isinstance(event, MarketEvent)] == [MIDNIGHT + 3 * HOUR]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gaps", "kraken"], "--start is missing"),
        (["gaps", "kraken", "--start", "yesterday"], '--start "yesterday": write a time such as'),
        (["gaps", "replay", "--start", "2025-11-20"], "it takes a feed whose market_hours is always or names a market"),
        (["check", "recorder"], "is the file of recorder recorder; name that of a feed"),
    ],
)
@pytest.mark.usefixtures("live_file", "feed_file")
def test_data_that_cannot_be_looked_at_is_one_line(words: list[str], said: str, tmp_path: Path, capsys: Said) -> None:
    write(tmp_path / "recorder.yml", kind="recorder", name="recorder", metrics_port=9203)
    found, _, error = told(["data", words[0], str(tmp_path / f"{words[1]}.yml"), *words[2:]], capsys)
    assert found == 2
    assert said in error
    assert error.count("\n") == 1
