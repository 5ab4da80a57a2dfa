# SPDX-License-Identifier: Apache-2.0
"""Bars out of QuestDB's table `bars`, in pages, so that years of them need no memory."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from station.clock import Clock
from station.domain.market import Bar
from station.errors import StationError
from station.feeds import reading
from station.feeds.limits import Limiter, Rate
from station.feeds.port import ClosedBar
from station.feeds.rest import Http, Vendor

PAGE = 10_000
# Our own server: no more than a guard against a loop that asks for nothing but itself.
RATES = (Rate(1000, 1.0),)
_PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Series:
    """What identifies a row of bars besides its time."""

    symbol: str
    source: str
    interval: int  # microseconds


def basic(user: str, password: str) -> Mapping[str, str]:
    """Return the header that says who asks."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def client(url: str, headers: Mapping[str, str], clock: Clock) -> Http:
    """Return a client for a server's HTTP port."""
    return Http(Vendor("QuestDB", url, headers), Limiter(RATES, clock), clock)


class Table:
    """The table of bars. DOUBLE is what it keeps, so a number is the shortest text that means it.

    Args:
        http: `client`.
        name: of the table.
        page: rows a request.
    """

    def __init__(self, http: Http, name: str = "bars", page: int = PAGE) -> None:
        self._http = http
        self._name = name
        self._page = page

    def read(self, series: Series, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars with start < close <= end, oldest first.

        Raises:
            Unavailable: the server does not answer.
            StationError: it refuses, or a row is not a bar.
        """
        for close, *values in self._rows(series, _PRICES, start, end):
            try:
                prices = dict(zip(_PRICES, map(reading.decimal, values), strict=True))
            except ValueError as error:
                raise StationError(f"QuestDB: bar of {series.symbol} at {reading.text(close)}: {error}") from None
            bar = Bar(symbol=series.symbol, interval=series.interval, source=series.source, **prices)
            yield ClosedBar(bar, close, available=close)

    def closes(self, series: Series, start: int, end: int) -> Iterator[int]:
        """Give the closes that are there with start < close <= end, oldest first; errors as for `read`."""
        return (close for (close,) in self._rows(series, (), start, end))

    def newest(self, series: Series) -> int | None:
        """Return the close of the newest bar, None if there is none; errors as for `read`."""
        rows = self._query(f"SELECT max(cast(ts AS LONG)) FROM {self._name} WHERE {_is(series)}")  # noqa: S608 - quoted
        return rows[0][0] if rows else None

    def _rows(self, series: Series, columns: tuple[str, ...], start: int, end: int) -> Iterator[list[Any]]:
        names = ", ".join(["cast(ts AS LONG) AS time", *(f'"{column}"' for column in columns)])
        while True:
            rows = self._query(
                f"SELECT {names} FROM {self._name} WHERE {_is(series)} AND ts > cast({start} AS TIMESTAMP) "  # noqa: S608
                f"AND ts <= cast({end} AS TIMESTAMP) ORDER BY ts LIMIT {self._page}"
            )
            yield from rows
            if len(rows) < self._page:
                return
            start = rows[-1][0]

    def _query(self, sql: str) -> list[list[Any]]:
        answer = self._http.get("/exec", {"query": sql})
        try:
            return list(answer["dataset"])
        except (KeyError, TypeError):
            raise StationError(f"QuestDB: unexpected answer {str(answer)[:200]}") from None


def _is(series: Series) -> str:
    return f'"symbol" = {_text(series.symbol)} AND "source" = {_text(series.source)} AND "interval" = {series.interval}'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
