# SPDX-License-Identifier: Apache-2.0
"""Bars in the making: from trades, or from a vendor's own running candles, given out once when they have closed.

A bar is never given out before its close by our own clock, however far ahead the vendor's is.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from msgspec import structs

from station.domain.market import Bar
from station.feeds.intervals import grid_close
from station.feeds.port import ClosedBar


@dataclass(frozen=True, slots=True)
class Trade:
    """Something was traded at a price; `time` is the vendor's, microseconds UTC."""

    symbol: str
    time: int
    price: Decimal
    size: Decimal


class Candles:
    """The bars of one interval that have not been given out.

    Args:
        interval: microseconds.
        grace: microseconds after the close that a running candle waits for trades that come late.
        source: of the bars that are made from trades.
    """

    def __init__(self, interval: int, grace: int, source: str) -> None:
        self._interval = interval
        self._grace = grace
        self._source = source
        self._whole_from = 0
        self._bars: dict[tuple[int, str], Bar] = {}  # by close and symbol
        self._spans: dict[tuple[int, str], tuple[int, int]] = {}  # times of the first and the last trade
        self._final: set[tuple[int, str]] = set()
        self._given: dict[str, int] = {}  # close of the newest bar given out, by symbol

    def begin(self, whole_from: int) -> None:
        """Start over at a new connection: intervals that begin before `whole_from` are not seen whole."""
        self._bars.clear()
        self._spans.clear()
        self._final.clear()
        self._whole_from = whole_from

    def trade(self, trade: Trade) -> bool:
        """Add a trade to its bar, or drop it if its interval is not seen whole; return False if it came too late."""
        close = grid_close(trade.time, self._interval)
        if close <= self._given.get(trade.symbol, 0):
            return False
        if close - self._interval >= self._whole_from:
            self._add((close, trade.symbol), trade)
        return True

    def candle(self, bar: Bar, close: int, final: bool) -> bool:
        """Put the vendor's state of a bar in place of the one before; return False if it was given out already.

        Args:
            bar: as it stands.
            close: microseconds UTC.
            final: the vendor says that it has closed; said again, it is given out again, and may be a correction.
        """
        if close <= self._given.get(bar.symbol, 0) and not final:
            return False
        self._bars[close, bar.symbol] = bar
        # A later candle says that nothing more comes for those before it.
        self._final.update(key for key in self._bars if key[1] == bar.symbol and key[0] < close)
        if final:
            self._final.add((close, bar.symbol))
        return True

    def closed(self, now: int) -> list[ClosedBar]:
        """Give out what has closed by now, oldest first."""
        ready = sorted(key for key in self._bars if self._due(key) <= now)
        found = []
        for key in ready:
            close, symbol = key
            found.append(ClosedBar(self._bars.pop(key), close, available=now))
            self._final.discard(key)
            self._spans.pop(key, None)
            self._given[symbol] = max(close, self._given.get(symbol, 0))
        return found

    def next_due(self) -> int | None:
        """Return when the next bar has closed, microseconds UTC; None if there is none."""
        return min(map(self._due, self._bars), default=None)

    def _due(self, key: tuple[int, str]) -> int:
        return key[0] if key in self._final else key[0] + self._grace

    def _add(self, key: tuple[int, str], trade: Trade) -> None:
        bar = self._bars.get(key)
        if bar is None:
            self._bars[key], self._spans[key] = self._of(trade), (trade.time, trade.time)
            return
        # Exchanges are not equally far away: the first to arrive need not be the first that was traded.
        first, last = self._spans[key]
        self._bars[key] = structs.replace(
            bar,
            open=trade.price if trade.time < first else bar.open,
            high=max(bar.high, trade.price),
            low=min(bar.low, trade.price),
            close=trade.price if trade.time >= last else bar.close,
            volume=bar.volume + trade.size,
        )
        self._spans[key] = min(first, trade.time), max(last, trade.time)

    def _of(self, trade: Trade) -> Bar:
        return Bar(
            symbol=trade.symbol,
            interval=self._interval,
            open=trade.price,
            high=trade.price,
            low=trade.price,
            close=trade.price,
            volume=trade.size,
            source=self._source,
        )
