# SPDX-License-Identifier: Apache-2.0
"""Binance, spot, public data: its own candles over REST and websocket.

Formats from github.com/binance/binance-spot-api-docs: rest-api.md ("Kline/Candlestick data"; "LIMITS": 429 and 418
carry Retry-After) and web-socket-streams.md ("Kline/Candlestick Streams": "x" says that a candle has closed; "Live
Subscribing"). Not through ccxt, which drops "x" (ccxt/ccxt#21885) and makes floats of live prices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from station.clock import Clock
from station.domain.market import Bar
from station.errors import StationError, Unavailable
from station.feeds import reading
from station.feeds.candles import Candles
from station.feeds.limits import Limiter, Rate
from station.feeds.live import SILENCE_S, Endpoints, Line, LiveFeed, require_interval
from station.feeds.port import ClosedBar, Notify
from station.feeds.rest import Http, Vendor
from station.feeds.websocket import Channel

NAME = "binance"
ENDPOINTS = Endpoints(rest="https://data-api.binance.vision", stream="wss://data-stream.binance.vision/ws")
# A fifth of the documented weight a minute: the limit counts by address, and the host may share its own.
RATES = (Rate(1200, 60.0),)
WEIGHT = 2
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
AT_ONCE = 1000
_MILLISECOND = 1000


class Binance(LiveFeed):
    """Candles of currency pairs, named as BTC/USDT.

    Args:
        line: what a live feed is given.
        http: for history.

    Raises:
        StationError: it has no bars of that length.
    """

    prints_every_interval = True

    def __init__(self, line: Line, http: Http) -> None:
        super().__init__(line)
        self._http = http
        self._name = require_interval(NAME, line.interval, INTERVALS)
        self._pairs = {_pair(symbol): symbol for symbol in line.symbols}

    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars with start < close <= end that have closed by now, oldest first."""
        now = self._line.clock.now()
        first, last = start - self.interval + 1, min(end, now) - self.interval
        while first <= last:
            rows = self._http.get(
                "/api/v3/klines",
                {
                    "symbol": _pair(symbol),
                    "interval": self._name,
                    # By the open: rounded to the milliseconds within the range.
                    "startTime": -(-first // _MILLISECOND),
                    "endTime": last // _MILLISECOND,
                    "limit": AT_ONCE,
                },
                WEIGHT,
            )
            bars = [self._row(symbol, row) for row in _list(rows)]
            yield from bars
            if len(bars) < AT_ONCE:
                return
            first = bars[-1].closed_at

    def _row(self, symbol: str, row: Any) -> ClosedBar:
        try:
            opened, *prices = row[:6]
            close = reading.micros(opened, unit="ms") + self.interval
            return ClosedBar(_bar(symbol, self.interval, prices), close, available=close)
        except (ValueError, TypeError) as error:
            raise StationError(f"{NAME}: a kline that is not as documented: {str(row)[:200]}: {error}") from None

    def _subscriptions(self) -> list[dict[str, Any]]:
        streams = [f"{pair.lower()}@kline_{self._name}" for pair in self._pairs]
        return [{"method": "SUBSCRIBE", "params": streams, "id": 1}]

    def _take(self, message: Any) -> None:
        kind = message.get("e")
        if kind == "kline":
            self._kline(message)
        elif kind == "serverShutdown":
            raise Unavailable(f"{NAME}: the server is about to shut down")
        elif "code" in message or "error" in message:
            raise StationError(f"{NAME}: subscription refused: {message} - check the symbols")
        elif "result" in message:
            self._answered()

    def _kline(self, message: Any) -> None:
        symbol, kline = self._pairs[message["s"]], message["k"]
        self._check_clock(symbol, reading.micros(message["E"], unit="ms"))
        if kline["x"]:
            close = reading.micros(kline["t"], unit="ms") + self.interval
            bar = _bar(symbol, self.interval, [kline[name] for name in "ohlcv"])
            self._line.candles.candle(bar, close, final=True)


def binance(
    symbols: tuple[str, ...], interval: int, clock: Clock, notify: Notify, endpoints: Endpoints = ENDPOINTS
) -> Binance:
    """Return the feed of some pairs.

    Args:
        symbols: such as BTC/USDT.
        interval: of the bars, microseconds.
        clock: the time.
        notify: called with what is odd.
        endpoints: where it answers.

    Raises:
        StationError: it has no bars of that length.
    """
    channel, candles = Channel(NAME, endpoints.stream, clock, SILENCE_S), Candles(interval, 0, NAME)
    http = Http(Vendor(NAME, endpoints.rest), Limiter(RATES, clock), clock, endpoints.manners)
    return Binance(Line(symbols, interval, channel, candles, clock, notify), http)


def _pair(symbol: str) -> str:
    return symbol.replace("/", "").upper()


def _bar(symbol: str, interval: int, values: Sequence[object]) -> Bar:
    opened, high, low, close, volume = map(reading.decimal, values)
    return Bar(
        symbol=symbol, interval=interval, open=opened, high=high, low=low, close=close, volume=volume, source=NAME
    )


def _list(rows: Any) -> list[Any]:
    if not isinstance(rows, list):
        raise StationError(f"{NAME}: klines that are not a list: {str(rows)[:200]}")
    return rows
