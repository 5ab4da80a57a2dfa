# SPDX-License-Identifier: Apache-2.0
"""From what a feed is told to where its bars come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from station.clock import Clock
from station.config.feeds import BarFile, BarTable, ExchangeFeed, LiveFeed, ReplayFeed, TiingoFeed
from station.feeds import intervals
from station.feeds.credentials import read_token
from station.feeds.files import Layout, read
from station.feeds.limits import Rate
from station.feeds.live import Endpoints
from station.feeds.port import ClosedBar, Feed, Notify
from station.feeds.questdb import Series, Table, basic, client
from station.feeds.replay import Recording, Replay, Source
from station.feeds.rest import LIVE, Manners
from station.feeds.sessions import ALWAYS, Sessions
from station.feeds.vendors.binance import ENDPOINTS as BINANCE
from station.feeds.vendors.binance import binance
from station.feeds.vendors.kraken import ENDPOINTS as KRAKEN
from station.feeds.vendors.kraken import kraken
from station.feeds.vendors.tiingo import ENDPOINTS as TIINGO
from station.feeds.vendors.tiingo import Account
from station.feeds.vendors.tiingo_live import Subscription, tiingo
from station.modes.markets import market

_HOUR_S, _DAY_S = 3600.0, 86_400.0


def sessions_of(options: LiveFeed) -> Sessions | None:
    """Return when bars are due, None if nobody knows."""
    if options.market_hours == "unknown":
        return None
    return ALWAYS if options.market_hours == "always" else Sessions(market(options.market_hours))


def live(
    options: TiingoFeed | ExchangeFeed, credentials: Path, clock: Clock, notify: Notify, manners: Manners = LIVE
) -> Feed:
    """Return the feed of a vendor.

    Args:
        options: which one, and what of it.
        credentials: the folder of the unit's credentials.
        clock: the time.
        notify: called with what is odd about the data.
        manners: how long the vendor's answers may take.

    Raises:
        StationError: the vendor has no bars of that length, or the credential cannot be read.
    """
    interval = intervals.parse(options.interval)
    if isinstance(options, TiingoFeed):
        account = Account(
            read_token(credentials / options.token_file),
            (Rate(options.requests_an_hour, _HOUR_S), Rate(options.requests_a_day, _DAY_S)),
            options.level,
            _endpoints(options, TIINGO, manners),
        )
        return tiingo(Subscription(options.market, options.symbols, interval), account, clock, notify)
    if options.exchange == "binance":
        return binance(options.symbols, interval, clock, notify, _endpoints(options, BINANCE, manners))
    return kraken(options.symbols, interval, clock, notify, _endpoints(options, KRAKEN, manners))


def replay(name: str, options: ReplayFeed, known: Mapping[str, int], credentials: Path, clock: Clock) -> Feed:
    """Return a feed of the past that goes on where it was.

    Args:
        name: of the service.
        options: what to play.
        known: close of the newest bar of each symbol that was published before.
        credentials: the folder of the unit's credentials.
        clock: paces.
    """
    interval = intervals.parse(options.interval)
    if options.table is not None:
        sources = _tables(options.table, options, interval, credentials, clock)
    else:
        sources = [partial(read, Path(file.path), layout(file, interval)) for file in options.files]
    # All of it is played in the order of closes, so what closed before the newest bar was played, of every symbol.
    played = max(known.values(), default=0)
    recording = Recording(name, options.symbols, interval, tuple(partial(_since, source, played) for source in sources))
    return Replay(recording, clock, options.speed or None)


def _endpoints(options: LiveFeed, usual: Endpoints, manners: Manners) -> Endpoints:
    return Endpoints(options.rest_url or usual.rest, options.stream_url or usual.stream, manners)


def _since(source: Source, close: int) -> Iterator[ClosedBar]:
    return (bar for bar in source() if bar.closed_at >= close)


def layout(file: BarFile, interval: int) -> Layout:
    """Return what the rows of a configured file mean; the interval is in microseconds."""
    columns = file.columns
    return Layout(
        interval=interval,
        source=file.origin,
        stamped=file.stamped,
        symbol=file.symbol,
        time=file.time,
        time_format=file.time_format,
        columns=(columns.open, columns.high, columns.low, columns.close, columns.volume),
        unit=file.unit,
        zone=ZoneInfo(file.zone),
        day_closes=time.fromisoformat(file.day_closes) if file.day_closes else None,
    )


def _tables(table: BarTable, options: ReplayFeed, interval: int, credentials: Path, clock: Clock) -> list[Source]:
    password = read_token(credentials / table.password_file)
    rows = Table(client(f"http://{table.address}", basic(table.user, password), clock))
    series = [Series(symbol, table.origin, interval) for symbol in options.symbols]
    return [partial(rows.read, one, 0, clock.now()) for one in series]
