# SPDX-License-Identifier: Apache-2.0
"""Binance as documented: klines over REST and websocket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from station.feeds.port import ClosedBar

from tests.integration.services.feeds.vendors.servers import Answer, Asked, as_json

INTERVALS = {"1m": 60_000, "1h": 3_600_000}


def kline(bar: ClosedBar) -> list[Any]:
    """Return a row of /api/v3/klines."""
    opened = (bar.closed_at - bar.bar.interval) // 1000
    values = [f"{getattr(bar.bar, name):.8f}" for name in ("open", "high", "low", "close", "volume")]
    return [opened, *values, bar.closed_at // 1000 - 1, "0.0", 308, "0.0", "0.0", "0"]


class Market:
    """What REST knows: by open, both ends included, oldest first, at most so many."""

    def __init__(self, bars: Iterable[ClosedBar] = ()) -> None:
        self.bars = list(bars)

    def __call__(self, asked: Asked) -> Answer:
        known = {bar.symbol.replace("/", "") for bar in self.bars}
        if self.bars and asked.query["symbol"] not in known:
            return as_json({"code": -1121, "msg": "Invalid symbol."}, 400)
        first, last, limit = (int(asked.query[name]) for name in ("startTime", "endTime", "limit"))
        assert asked.query["interval"] in INTERVALS
        rows = [
            kline(bar)
            for bar in self.bars
            if bar.symbol.replace("/", "") == asked.query["symbol"] and first <= kline(bar)[0] <= last
        ]
        return as_json(rows[: min(limit, 1000)])


SUBSCRIBED = {"result": None, "id": 1}
SHUTDOWN = {"e": "serverShutdown", "E": 1770123456789}


def update(bar: ClosedBar, closed: bool, sent: int | None = None) -> dict[str, Any]:
    """Return a message of the kline stream, as the documentation's example."""
    opened, *values = kline(bar)[:6]
    pair = bar.symbol.replace("/", "")
    state = {
        "t": opened,
        "T": bar.closed_at // 1000 - 1,
        "s": pair,
        "i": "1m",
        "f": 100,
        "L": 200,
        "n": 100,
        "x": closed,
    }
    prices = dict(zip("ohlcv", values, strict=True))
    more = {"q": "1.0000", "V": "500", "Q": "0.500", "B": "123456"}
    event = (bar.closed_at if sent is None else sent) // 1000
    return {"e": "kline", "E": event, "s": pair, "k": {**state, **prices, **more}}
