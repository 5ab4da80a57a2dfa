# SPDX-License-Identifier: Apache-2.0
"""What the station has to do while it is hurt: a market that turns often, and what has to follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from station.domain.market import Bar
from station.domain.trading import Signal
from station.events import MarketEvent
from station.journal.checkpoint import Signer
from station.strategies.momentum import Momentum

SIGNER = Signer("station.example/journal", bytes(range(32)))
SYMBOL, POISONED = "EURUSD", "POISON"
FEED, AGENT, RECORDER = "feed", "agent", "recorder"
POISON_STREAM = "md:poison"
BARS = 300
BARS_A_SECOND = 75
_HOUR_S = 3600
_HALF_WAVE = 15  # bars from one turn of the market to the next
_FAST, _SLOW = 3, 7
# Late answers are dropped, and a process that is stopped is late: what is dropped for that is not what is counted here.
_DEADLINE_MS = 29_000


def services(folder: Path, journal: Path, questdb: str, anchor: Path) -> list[dict[str, Any]]:
    """Return what the files of a station's services say, and write the bars that the feed plays.

    Args:
        folder: of the station.
        journal: folder of the segments.
        questdb: <host>:<port>.
        anchor: the socket of the anchor.
    """
    rows = (f"{close_s},{price},{price},{price},{price},0\n" for close_s, price in _market())
    (folder / "bars.csv").write_text("".join(["time,open,high,low,close,volume\n", *rows]))
    file = {"path": f"{folder}/bars.csv", "origin": "test", "stamped": "close", "symbol": SYMBOL, "unit": "s"}
    feed = {"source": "replay", "symbols": [SYMBOL], "interval": "1h", "files": [file]}
    strategy = {"name": "Momentum", "fast": _FAST, "slow": _SLOW}
    return [
        {
            "name": RECORDER,
            "kind": "recorder",
            "folder": str(journal),
            "questdb": {"address": questdb},
            "anchors": [{"name": "oversight", "socket": str(anchor)}],
        },
        {
            "name": FEED,
            "kind": "feed",
            "stream": f"md:{FEED}",
            "feed": {**feed, "speed": BARS_A_SECOND * _HOUR_S},
        },
        {
            "name": AGENT,
            "kind": "agent",
            "stream": f"strat:{AGENT}",
            "strategy": strategy,
            "reads": [f"md:{FEED}", POISON_STREAM],
            "symbols": [SYMBOL, POISONED],
            "budget_ms": _DEADLINE_MS,
            "deadline_ms": _DEADLINE_MS,
        },
    ]


def closes() -> list[int]:
    """Return the closes of the bars that are played, microseconds UTC."""
    return [close_s * 1_000_000 for close_s, _ in _market()]


def strengths() -> list[int]:
    """Return what the agent has to say to these bars, one opinion after the other."""
    strategy = Momentum([SYMBOL], fast=_FAST, slow=_SLOW, band=Decimal("0.0001"))
    said: list[int] = []
    for number, (close_s, price) in enumerate(_market(), 1):
        at = close_s * 1_000_000
        event = MarketEvent(
            agent_id=FEED, run=1, sequence=number, timestamp=at, available=at, payload=bar(SYMBOL, price)
        )
        said += [int(payload.strength) for payload in strategy.on_event(event) if isinstance(payload, Signal)]
    return said


def bar(symbol: str, price: Decimal) -> Bar:
    """Return a bar without a range."""
    return Bar(
        symbol=symbol,
        interval=_HOUR_S * 1_000_000,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(0),
        source="test",
    )


def _market() -> Iterator[tuple[int, Decimal]]:
    """Yield close in seconds and price of each bar."""
    for hour in range(1, BARS + 1):
        place = hour % (2 * _HALF_WAVE)
        yield hour * _HOUR_S, Decimal(1000 + min(place, 2 * _HALF_WAVE - place))
