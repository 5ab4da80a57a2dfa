# SPDX-License-Identifier: Apache-2.0
"""Tiingo as documented: rows of history and messages of the websocket, made of what happened in a market."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from station.feeds.intervals import SECOND
from station.feeds.port import ClosedBar

from tests.integration.services.feeds.vendors.servers import Answer, Asked, as_json

NEW_YORK = timedelta(hours=-5)  # winter


def row(bar: ClosedBar) -> dict[str, Any]:
    """Return a row of history, stamped at its open."""
    opened = datetime.fromtimestamp((bar.closed_at - bar.bar.interval) / SECOND, UTC)
    prices = {name: float(getattr(bar.bar, name)) for name in ("open", "high", "low", "close", "volume")}
    return {"date": opened.isoformat().replace("+00:00", ".000Z"), **prices}


class Market:
    """What REST knows; it names days, both included."""

    def __init__(self, bars: Iterable[ClosedBar] = ()) -> None:
        self.bars = list(bars)

    def __call__(self, asked: Asked) -> Answer:
        ticker = asked.query.get("tickers") or asked.path.split("/")[-2]
        first, last = asked.query["startDate"], asked.query["endDate"]
        rows = [
            row(bar)
            for bar in self.bars
            if bar.symbol.replace("/", "").lower() == ticker and first <= row(bar)["date"][:10] <= last
        ]
        if "crypto" in asked.path:
            return as_json([{"ticker": ticker, "baseCurrency": "btc", "quoteCurrency": "usd", "priceData": rows}])
        return as_json(rows)


SUBSCRIBED = {"messageType": "I", "response": {"code": 200, "message": "Success"}, "data": {"subscriptionId": 61}}
HEARTBEAT = {"messageType": "H", "response": {"code": 200, "message": "HeartBeat"}}


def error(code: int, message: str) -> dict[str, Any]:
    return {"messageType": "E", "response": {"code": code, "message": message}}


def trade(when: int, price: float, size: float = 100, after_hours: int = 0, kind: str = "T") -> dict[str, Any]:
    """Return a trade of AAPL at threshold level 5."""
    data = [
        kind,
        _iso(when),
        when * 1000,
        "aapl",
        None,
        None,
        None,
        None,
        None,
        price,
        size,
        None,
        after_hours,
        0,
        0,
        0,
    ]
    return {"messageType": "A", "service": "iex", "data": data}


def quote(when: int) -> dict[str, Any]:
    data = ["Q", _iso(when), when * 1000, "aapl", 100, 81.58, 81.585, 81.59, 100, None, None, 0, 0, None, None, None]
    return {"messageType": "A", "service": "iex", "data": data}


def reference(when: int, price: float) -> dict[str, Any]:
    """Return a reference price of AAPL at threshold level 6."""
    return {"messageType": "A", "service": "iex", "data": [_iso(when), "aapl", price]}


def crypto_trade(when: int, price: float, size: float) -> dict[str, Any]:
    data = ["T", "btcusd", datetime.fromtimestamp(when / SECOND, UTC).isoformat(), "binance", size, price]
    return {"messageType": "A", "service": "crypto_data", "data": data}


def _iso(when: int) -> str:
    """Return a time as IEX writes it: of New York, with nanoseconds."""
    local = datetime.fromtimestamp(when // SECOND, UTC) + NEW_YORK
    return f"{local:%Y-%m-%dT%H:%M:%S}.{when % SECOND:06}129-05:00"
