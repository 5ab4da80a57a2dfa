# SPDX-License-Identifier: Apache-2.0
"""Tiingo: live trades over websocket, made into bars here.

From api.tiingo.com/documentation/websockets: "IEX" (threshold level 5: every trade, for those with an agreement with
IEX; level 6: a reference price, [date, ticker, price], without volume) and "Crypto" (level 5: trades of all exchanges).
Messages: "I" answers a subscription, "H" is a heartbeat, "E" an error with the code of an HTTP status, "A" news.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from station.clock import Clock
from station.errors import StationError, Unavailable
from station.feeds import reading
from station.feeds.candles import Candles, Trade
from station.feeds.intervals import SECOND
from station.feeds.limits import UNKNOWN_WAIT_S
from station.feeds.live import SILENCE_S, Line, LiveFeed
from station.feeds.port import ClosedBar, Finding, Notify, RateLimited
from station.feeds.vendors.tiingo import REFERENCE_PRICES, TRADES, Account, TiingoHistory, client, vendor_name
from station.feeds.websocket import Channel

GRACE = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Subscription:
    """Which bars are wanted.

    Attributes:
        market: shares at IEX, or crypto pairs over all exchanges.
        symbols: AAPL, or BTC/USD.
        interval: microseconds.
    """

    market: Literal["iex", "crypto"]
    symbols: tuple[str, ...]
    interval: int


class TiingoLive(LiveFeed):
    """Bars of shares (AAPL) from IEX, or of crypto pairs (BTC/USD).

    Args:
        line: what a live feed is given.
        history: of the same market.
        token: the credential.
        level: threshold level.
    """

    def __init__(self, line: Line, history: TiingoHistory, token: str, level: int) -> None:
        super().__init__(line)
        self._history = history
        self._token = token
        self._level = level
        self._symbols = {vendor_name(symbol): symbol for symbol in line.symbols}

    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars with start < close <= end that have closed by now, oldest first."""
        return self._history.history(symbol, start, end)

    def _subscriptions(self) -> list[dict[str, Any]]:
        wanted = {"thresholdLevel": self._level, "tickers": list(self._symbols)}
        return [{"eventName": "subscribe", "authorization": self._token, "eventData": wanted}]

    def _take(self, message: Any) -> None:
        kind = message["messageType"]
        if kind == "A":
            self._news(message["service"], message["data"])
        elif kind == "I":
            self._answered()
        elif kind == "E":
            raise _refusal(int(message["response"]["code"]), str(message["response"]["message"]))

    def _news(self, service: str, data: Any) -> None:
        trade = self._crypto(data) if service == "crypto_data" else self._share(data)
        if trade is None:
            return
        self._check_clock(trade.symbol, trade.time)
        if not self._line.candles.trade(trade):
            self._line.notify(Finding("late_update", trade.symbol, trade.time, "a trade of a bar that was given out"))

    def _share(self, data: Any) -> Trade | None:
        if self._level == REFERENCE_PRICES:
            when, ticker, price = data
            return self._trade(ticker, reading.micros(when), price, 0)
        kind, _, nanoseconds, ticker = data[:4]
        if kind == "B":
            detail = "a trade was cancelled after the fact; its bar stays as it is"
            self._line.notify(Finding("trade_break", self._symbols[ticker.lower()], nanoseconds // 1000, detail))
        if kind != "T" or data[12] == 1:  # 12: outside the regular session, which history leaves out too
            return None
        return self._trade(ticker, reading.micros(nanoseconds, unit="ns"), data[9], data[10])

    def _crypto(self, data: Any) -> Trade | None:
        if data[0] != "T":
            return None
        _, ticker, when, _, size, price = data
        return self._trade(ticker, reading.micros(when), price, size)

    def _trade(self, ticker: str, when: int, price: object, size: object) -> Trade:
        return Trade(self._symbols[ticker.lower()], when, reading.decimal(price), reading.decimal(size))


def tiingo(wanted: Subscription, account: Account, clock: Clock, notify: Notify) -> TiingoLive:
    """Return the feed of some shares or currency pairs.

    Args:
        wanted: which ones.
        account: what was bought.
        clock: the time.
        notify: called with what is odd.

    Raises:
        StationError: it has no bars of that length.
    """
    history = TiingoHistory(wanted.market, wanted.interval, client(account, clock), clock, notify)
    channel = Channel("tiingo", f"{account.endpoints.stream}/{wanted.market}", clock, SILENCE_S)
    candles = Candles(wanted.interval, GRACE, history.source)
    line = Line(wanted.symbols, wanted.interval, channel, candles, clock, notify)
    return TiingoLive(line, history, account.token, account.level if wanted.market == "iex" else TRADES)


def _refusal(code: int, said: str) -> Exception:
    message = f"tiingo: {code} {said}"
    if code == 429:
        return RateLimited(message, UNKNOWN_WAIT_S)
    if code >= 500:
        return Unavailable(message)
    return StationError(f"{message} - check credential, plan (threshold level) and symbols")
