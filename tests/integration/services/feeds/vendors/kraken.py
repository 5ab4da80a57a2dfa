# SPDX-License-Identifier: Apache-2.0
"""Kraken as documented: OHLC over REST, the newest 720 rows, and the channel "ohlc" of websocket v2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from station.feeds.intervals import SECOND
from station.feeds.port import ClosedBar
from station.feeds.reading import text

from tests.integration.services.feeds.vendors.servers import Answer, Asked, as_json

NAMES = {"XBTUSD": "BTC/USD", "ETHUSD": "ETH/USD"}


def row(bar: ClosedBar) -> list[Any]:
    """Return a row of /0/public/OHLC: time, open, high, low, close, vwap, volume, count."""
    prices = [str(getattr(bar.bar, name)) for name in ("open", "high", "low", "close")]
    return [(bar.closed_at - bar.bar.interval) // SECOND, *prices, "85624.0", str(bar.bar.volume), 53]


class Market:
    """What REST knows."""

    def __init__(self, bars: Iterable[ClosedBar] = ()) -> None:
        self.bars = list(bars)

    def __call__(self, asked: Asked) -> Answer:
        symbol = NAMES.get(asked.query["pair"])
        if symbol is None:
            return as_json({"error": ["EQuery:Unknown asset pair"]})
        rows = [row(bar) for bar in self.bars if bar.symbol == symbol][-720:]
        rows = [one for one in rows if one[0] > int(asked.query["since"])]
        return as_json({"error": [], "result": {f"X{asked.query['pair']}": rows, "last": 1700086400}})


STATUS = {
    "channel": "status",
    "type": "update",
    "data": [{"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": 7734965360043499011}],
}
HEARTBEAT = {"channel": "heartbeat"}
LIMITED = as_json({"error": ["EGeneral:Too many requests"]})
BUSY = as_json({"error": ["EService:Unavailable"]})


def subscribed(symbol: str = "BTC/USD") -> dict[str, Any]:
    warnings = ["timestamp is deprecated, use interval_begin"]
    result = {"channel": "ohlc", "interval": 1, "snapshot": True, "symbol": symbol, "warnings": warnings}
    return {"method": "subscribe", "result": result, "success": True, "time_in": "2026-10-06T18:06:01.981684Z"}


def refused(symbol: str) -> dict[str, Any]:
    return {"error": f"Currency pair not supported {symbol}", "method": "subscribe", "success": False, "symbol": symbol}


def candles(*bars: ClosedBar, kind: str = "update", sent: int | None = None) -> dict[str, Any]:
    """Return a snapshot or an update, its numbers plain JSON numbers."""
    data = []
    for bar in bars:
        prices = {name: float(getattr(bar.bar, name)) for name in ("open", "high", "low", "close", "volume")}
        times = {"interval_begin": _iso(bar.closed_at - bar.bar.interval), "timestamp": _iso(bar.closed_at)}
        data.append({"symbol": bar.symbol, **prices, "trades": 5, "vwap": 85754.7, "interval": 1, **times})
    when = bars[-1].closed_at if sent is None else sent
    return {"channel": "ohlc", "type": kind, "timestamp": _iso(when), "data": data}


def _iso(when: int) -> str:
    plain = text(when)
    return plain[:-1] + ("000Z" if "." in plain else ".000000000Z")
