# SPDX-License-Identifier: Apache-2.0
"""Tiingo: history over REST.

From api.tiingo.com/documentation: "End-of-Day" (prices are ready at 17:30 New York time; splitFactor, divCash), "IEX"
(/iex/<ticker>/prices: resampleFreq, columns, afterHours; volume only if asked for), "Crypto" (/tiingo/crypto/prices)
and "Connecting" (the token in a header). Recorded answers: tests/fixtures of github.com/hydrosquall/tiingo-python,
which show that intraday and crypto rows are stamped at their open, and that endDate includes its day.

Prices are as traded, not adjusted: adjusting rewrites the past at each split and dividend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from station.clock import Clock, of_datetime
from station.domain.market import Bar
from station.errors import StationError
from station.feeds import reading
from station.feeds.intervals import DAY, HOUR, MINUTE, SECOND, name
from station.feeds.limits import Limiter, Rate
from station.feeds.live import Endpoints
from station.feeds.port import ClosedBar, Finding, Notify
from station.feeds.rest import Http, Vendor

Market = Literal["iex", "crypto", "daily"]
ENDPOINTS = Endpoints(rest="https://api.tiingo.com", stream="wss://api.tiingo.com")
TRADES = 5
REFERENCE_PRICES = 6
# The free plan: 50 requests an hour, 1,000 a day.
FREE_RATES = (Rate(50, 3600.0), Rate(1000, 86400.0))
ROWS_AT_ONCE = 5000
LENGTHS = {"iex": (MINUTE, 4 * HOUR), "crypto": (MINUTE, DAY), "daily": (DAY, DAY)}
NEW_YORK = ZoneInfo("America/New_York")
CLOSES = time(16)
READY = time(17, 30)
_PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Account:
    """What was bought.

    Attributes:
        token: the credential.
        rates: how often may be asked.
        level: threshold level of live IEX data: TRADES with an agreement with IEX, else REFERENCE_PRICES.
        endpoints: where it answers; the websocket without the market.
    """

    token: str = field(repr=False)
    rates: tuple[Rate, ...] = FREE_RATES
    level: int = REFERENCE_PRICES
    endpoints: Endpoints = ENDPOINTS


def client(account: Account, clock: Clock) -> Http:
    """Return a client that sends the token in a header, because addresses are logged.

    Args:
        account: what was bought.
        clock: waits.
    """
    vendor = Vendor("tiingo", account.endpoints.rest, {"Authorization": f"Token {account.token}"})
    return Http(vendor, Limiter(account.rates, clock), clock, account.endpoints.manners)


class TiingoHistory:
    """Bars of one market: shares at IEX, shares by day, crypto pairs over all exchanges.

    Args:
        market: which one.
        interval: of the bars, microseconds.
        http: `client`.
        clock: tells which bars have closed.
        notify: called with splits and dividends.

    Raises:
        StationError: it has no bars of that length.
    """

    def __init__(self, market: Market, interval: int, http: Http, clock: Clock, notify: Notify) -> None:
        shortest, longest = LENGTHS[market]
        if not shortest <= interval <= longest or interval % MINUTE:
            offer = f"{name(shortest)} to {name(longest)}"
            raise StationError(f"tiingo {market} has no bars of {name(interval)}; it has {offer}")
        self.interval = interval
        self.source = f"tiingo-{market}"
        self._market = market
        self._http = http
        self._clock = clock
        self._notify = notify

    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars with start < close <= end that have closed by now, oldest first.

        Raises:
            Unavailable: not now (RateLimited: how long).
            StationError: the vendor refuses, or answers something else than is documented.
        """
        now = self._clock.now()
        for first, last in self._pages(start, min(end, now)):
            for row in self._rows(symbol, first, last):
                try:
                    bar = self._daily(symbol, row) if self._market == "daily" else self._intraday(symbol, row)
                except (KeyError, TypeError, ValueError) as error:
                    said = f"{self.source}: a row that is not as documented: {str(row)[:200]}"
                    raise StationError(f"{said}: {type(error).__name__} {error}") from None
                if start < bar.closed_at <= end and bar.available <= now:
                    yield bar

    def _pages(self, start: int, end: int) -> Iterator[tuple[date, date]]:
        days = timedelta(days=max(1, ROWS_AT_ONCE * self.interval // DAY) - 1)
        day, until = _day(start - self.interval), _day(end)
        while day <= until:
            last = min(day + days, until)
            yield day, last
            day = last + timedelta(days=1)

    def _rows(self, symbol: str, first: date, last: date) -> list[Any]:
        ticker = vendor_name(symbol)
        params: dict[str, str | int] = {"startDate": first.isoformat(), "endDate": last.isoformat()}
        if self._market == "daily":
            return _list(self._http.get(f"/tiingo/daily/{ticker}/prices", params | {"format": "json"}))
        params["resampleFreq"] = _frequency(self.interval)
        if self._market == "iex":
            wanted = {"columns": ",".join(_PRICES), "afterHours": "false", "forceFill": "false"}
            return _list(self._http.get(f"/iex/{ticker}/prices", params | wanted))
        answer = _list(self._http.get("/tiingo/crypto/prices", params | {"tickers": ticker}))
        return [row for part in answer for row in part["priceData"]]

    def _intraday(self, symbol: str, row: Any) -> ClosedBar:
        close = reading.micros(row["date"]) + self.interval
        return ClosedBar(self._bar(symbol, row), close, available=close)

    def _daily(self, symbol: str, row: Any) -> ClosedBar:
        day = date.fromisoformat(row["date"][:10])
        # On the few days with an early close the stamp is late, never early.
        close = of_datetime(datetime.combine(day, CLOSES, NEW_YORK))
        split, dividend = reading.decimal(row["splitFactor"]), reading.decimal(row["divCash"])
        if split != 1:
            self._notify(Finding("split", symbol, close, f"{split} new shares for one old on {day}"))
        if dividend:
            self._notify(Finding("dividend", symbol, close, f"{dividend} a share went off on {day}"))
        ready = of_datetime(datetime.combine(day, READY, NEW_YORK))
        return ClosedBar(self._bar(symbol, row), close, available=ready)

    def _bar(self, symbol: str, row: Any) -> Bar:
        # A bar of quotes alone has no volume.
        values = {key: reading.decimal(row[key] if key != "volume" else row[key] or 0) for key in _PRICES}
        return Bar(symbol=symbol, interval=self.interval, source=self.source, **values)


def vendor_name(symbol: str) -> str:
    """Return how Tiingo spells a symbol: btcusd for BTC/USD."""
    return symbol.replace("/", "").lower()


def _day(moment: int) -> date:
    return datetime.fromtimestamp(moment // SECOND, UTC).date()


def _frequency(interval: int) -> str:
    for unit, length in (("day", DAY), ("hour", HOUR)):
        if interval % length == 0:
            return f"{interval // length}{unit}"
    return f"{interval // MINUTE}min"


def _list(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise StationError(f"tiingo: an answer that is no list: {str(answer)[:200]}")
    return answer
