# SPDX-License-Identifier: Apache-2.0
"""Kraken, spot, public data: its own candles over REST and websocket.

Formats from docs.kraken.com: Spot REST "Get OHLC Data" (the newest 720 rows whatever is asked for, the last one still
running; errors come with HTTP 200) and Spot websocket v2 "ohlc" (a snapshot, then updates on trades only; nothing says
that a candle has closed, so it has when the next one begins, or a moment after its end).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from station.clock import Clock
from station.domain.market import Bar
from station.errors import StationError, Unavailable
from station.feeds import reading
from station.feeds.candles import Candles
from station.feeds.intervals import MINUTE, SECOND
from station.feeds.limits import UNKNOWN_WAIT_S, Limiter, Rate
from station.feeds.live import SILENCE_S, Endpoints, Line, LiveFeed, require_interval
from station.feeds.port import ClosedBar, Finding, Notify, RateLimited
from station.feeds.rest import Http, Vendor
from station.feeds.websocket import Channel

NAME = "kraken"
ENDPOINTS = Endpoints(rest="https://api.kraken.com", stream="wss://ws.kraken.com/v2")
# What the public interface was seen to take for long; its limit is not documented as a number.
RATES = (Rate(10, 30.0),)
INTERVALS = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
DEPTH = 720
GRACE = 2 * SECOND
# REST knows two assets by older names than the websocket does.
REST_NAMES = {"BTC": "XBT", "DOGE": "XDG"}


class Kraken(LiveFeed):
    """Candles of currency pairs, named as BTC/USD.

    Args:
        line: what a live feed is given.
        http: for history.

    Raises:
        StationError: it has no bars of that length.
    """

    def __init__(self, line: Line, http: Http) -> None:
        super().__init__(line)
        require_interval(NAME, line.interval, INTERVALS)
        self._http = http
        self._minutes = line.interval // MINUTE

    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars with start < close <= end that have closed by now, oldest first; it has none older than 720."""
        now = self._line.clock.now()
        # By the open, and what opened later than that.
        since = (start - self.interval) // SECOND
        answer = self._http.get(
            "/0/public/OHLC", {"pair": _rest_name(symbol), "interval": self._minutes, "since": since}
        )
        try:
            # Under a name of the vendor's own choice, beside "last".
            (rows,) = (rows for key, rows in answer["result"].items() if key != "last")
            bars = [self._row(symbol, row) for row in rows]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise StationError(f"{NAME}: OHLC that is not as documented: {str(answer)[:200]}: {error}") from None
        if len(bars) >= DEPTH and bars[0].closed_at > start + self.interval:
            detail = f"{NAME} has nothing before {reading.text(bars[0].closed_at)}: load older bars from a file"
            self._line.notify(Finding("history_short", symbol, bars[0].closed_at, detail))
        yield from (bar for bar in bars if start < bar.closed_at <= min(end, now))

    def _row(self, symbol: str, row: Any) -> ClosedBar:
        opened, *prices, _, volume, _ = row
        close = reading.micros(opened, unit="s") + self.interval
        values = dict(zip(("open", "high", "low", "close", "volume"), [*prices, volume], strict=True))
        return ClosedBar(self._bar(symbol, values), close, available=close)

    def _subscriptions(self) -> list[dict[str, Any]]:
        params = {"channel": "ohlc", "symbol": list(self.symbols), "interval": self._minutes}
        return [{"method": "subscribe", "params": params}]

    def _answers(self, subscriptions: list[dict[str, Any]]) -> int:
        return len(subscriptions) * len(self.symbols)

    def _take(self, message: Any) -> None:
        if message.get("channel") == "ohlc":
            if "timestamp" in message:
                self._check_clock(message["data"][0]["symbol"], reading.micros(message["timestamp"]))
            for candle in message["data"]:
                self._candle(candle, message["type"])
        elif message.get("method") == "subscribe":
            if message["success"] is not True:
                raise StationError(f"{NAME}: subscription refused: {message.get('error')} - check the symbols")
            self._answered()

    def _candle(self, candle: Any, kind: str) -> None:
        symbol, close = candle["symbol"], reading.micros(candle["interval_begin"]) + self.interval
        if symbol not in self.symbols or int(candle["interval"]) != self._minutes:
            raise ValueError("not subscribed")
        taken = self._line.candles.candle(self._bar(symbol, candle), close, final=False)
        # The snapshot after a reconnection repeats what is known.
        if not taken and kind == "update":
            self._line.notify(Finding("late_update", symbol, close, "changed after it was given out"))

    def _bar(self, symbol: str, values: Any) -> Bar:
        prices = {name: reading.decimal(values[name]) for name in ("open", "high", "low", "close", "volume")}
        return Bar(symbol=symbol, interval=self.interval, source=NAME, **prices)


def kraken(
    symbols: tuple[str, ...], interval: int, clock: Clock, notify: Notify, endpoints: Endpoints = ENDPOINTS
) -> Kraken:
    """Return the feed of some pairs.

    Args:
        symbols: such as BTC/USD.
        interval: of the bars, microseconds.
        clock: the time.
        notify: called with what is odd.
        endpoints: where it answers.

    Raises:
        StationError: it has no bars of that length.
    """
    channel, candles = Channel(NAME, endpoints.stream, clock, SILENCE_S), Candles(interval, GRACE, NAME)
    vendor = Vendor(NAME, endpoints.rest, judge=_judge)
    http = Http(vendor, Limiter(RATES, clock), clock, endpoints.manners)
    return Kraken(Line(symbols, interval, channel, candles, clock, notify), http)


def _judge(answer: Any) -> None:
    errors = [str(error) for error in answer.get("error", [])] if isinstance(answer, dict) else []
    if not errors:
        return
    said = f"{NAME}: {'; '.join(errors)}"
    if any("Too many requests" in error or "Rate limit" in error for error in errors):
        raise RateLimited(said, UNKNOWN_WAIT_S)
    if any(error.startswith("EService") for error in errors):
        raise Unavailable(said)
    raise StationError(f"{said} - check symbols and interval")


def _rest_name(symbol: str) -> str:
    return "".join(REST_NAMES.get(asset, asset) for asset in symbol.upper().split("/"))
