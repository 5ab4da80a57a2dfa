# SPDX-License-Identifier: Apache-2.0
"""From what a feed is told to what plays or fetches its bars."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from station.config.feeds import BarFile, BarTable, Columns, ExchangeFeed, ReplayFeed, TiingoFeed
from station.errors import StationError
from station.feeds.sessions import ALWAYS
from station.runtime import sources

from tests.unit.services.runtime.station_kit import HOUR, Hands

CLOCK = Hands()
NEW_YORK_CLOSE = 1_763_672_400_000_000  # 2025-11-20 21:00 UTC


def exchange(**changes: Any) -> ExchangeFeed:
    plain = {"source": "exchange", "symbols": ("BTC/USD",), "interval": "1h", "market_hours": "always"}
    return ExchangeFeed(**(plain | {"exchange": "kraken"} | changes))


def tiingo(**changes: Any) -> TiingoFeed:
    plain = {"source": "tiingo", "symbols": ("AAPL",), "interval": "5m", "market_hours": "unknown", "market": "iex"}
    return TiingoFeed(**(plain | changes))


@pytest.mark.parametrize("name", ["binance", "kraken"])
def test_an_exchange_needs_no_credential(name: str, tmp_path: Path) -> None:
    feed = sources.live(exchange(exchange=name), tmp_path, CLOCK, lambda _: None)
    assert (feed.symbols, feed.interval, feed.prints_every_interval) == (("BTC/USD",), HOUR, name == "binance")
    feed.close()


def test_tiingo_needs_its_token(tmp_path: Path) -> None:
    with pytest.raises(StationError, match="credential"):
        sources.live(tiingo(), tmp_path, CLOCK, lambda _: None)
    (tmp_path / "tiingo").write_text("token\n")
    feed = sources.live(tiingo(), tmp_path, CLOCK, lambda _: None)
    assert (feed.symbols, feed.interval) == (("AAPL",), HOUR // 12)
    feed.close()


def test_a_length_that_the_vendor_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StationError, match="7m"):
        sources.live(exchange(interval="7m"), tmp_path, CLOCK, lambda _: None)


def test_bars_are_due_always_or_in_the_sessions_of_a_market_or_nobody_knows() -> None:
    assert sources.sessions_of(exchange()) is ALWAYS
    assert sources.sessions_of(exchange(market_hours="24/7")) == ALWAYS
    assert sources.sessions_of(tiingo()) is None
    new_york = sources.sessions_of(tiingo(market_hours="XNAS"))
    assert new_york is not None
    assert new_york.last_close(NEW_YORK_CLOSE + HOUR, HOUR // 12) == NEW_YORK_CLOSE


def file(path: Path, **changes: Any) -> BarFile:
    return BarFile(**({"path": str(path), "origin": "test", "stamped": "open", "symbol": "AAPL"} | changes))


def test_every_word_about_a_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("Day,o,h,l,c,v\n2025-11-20,2,4,1,3,5\n")
    columns = Columns(open="o", high="h", low="l", close="c", volume="v")
    told = file(path, time="Day", columns=columns, zone="America/New_York", day_closes="16:00")
    options = ReplayFeed(source="replay", symbols=("AAPL",), interval="1d", files=(told,), speed=Decimal(0))
    feed = sources.replay("daily", options, {}, tmp_path, CLOCK)
    feed.open()
    (bar,) = feed.receive(0)
    assert (bar.closed_at, bar.bar.source, bar.bar.symbol) == (NEW_YORK_CLOSE, "test", "AAPL")
    prices = [bar.bar.open, bar.bar.high, bar.bar.low, bar.bar.close, bar.bar.volume]
    assert [int(price) for price in prices] == [2, 4, 1, 3, 5]


def test_the_past_goes_on_behind_the_newest_bar_of_all_symbols(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    rows = [f"{hour * 3600},{symbol},1,1,1,1,0" for hour in (1, 2, 3) for symbol in ("A", "B")]
    path.write_text("\n".join(["time,symbol,open,high,low,close,volume", *rows]) + "\n")
    told = file(path, symbol=None, stamped="close", unit="s")
    options = ReplayFeed(source="replay", symbols=("A", "B"), interval="1h", files=(told,), speed=Decimal(0))
    # B has no bar at two: it was not reached when the service died.
    feed = sources.replay("replay", options, {"A": 2 * HOUR, "B": HOUR}, tmp_path, CLOCK)
    feed.open()
    assert [(bar.symbol, bar.closed_at // HOUR) for bar in feed.receive(0)] == [("A", 2), ("B", 2), ("A", 3), ("B", 3)]


def test_a_table_needs_its_password(tmp_path: Path) -> None:
    options = ReplayFeed(source="replay", symbols=("A",), interval="1h", table=BarTable(origin="test"))
    with pytest.raises(StationError, match="questdb-http"):
        sources.replay("replay", options, {}, tmp_path, CLOCK)
    (tmp_path / "questdb-http").write_text("secret\n")
    assert sources.replay("replay", options, {}, tmp_path, CLOCK).symbols == ("A",)
