# SPDX-License-Identifier: Apache-2.0
"""The events that the benches send: bars of many symbols, no two alike."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from station.domain.market import Bar
from station.events import MarketEvent

Say = Callable[[str], None]  # tells the person who waits how far it is

STREAM = "md:bench"
SYMBOLS = tuple(f"SYM{number:03d}" for number in range(100))
START_US = 1_767_225_600_000_000  # 2026-01-01
_SECOND_US = 1_000_000


def bar(number: int, time_us: int) -> MarketEvent:
    """Return a bar that closes at a time; its number chooses the symbol, and is its number in the run, too.

    Args:
        number: from 1.
        time_us: microseconds UTC.
    """
    price = 10_000 + number * 7 % 1000
    return MarketEvent(
        agent_id="bench",
        run=START_US // 1000,
        sequence=number,
        timestamp=time_us,
        available=time_us,
        payload=Bar(
            symbol=SYMBOLS[number % len(SYMBOLS)],
            interval=_SECOND_US,
            open=Decimal(price).scaleb(-4),
            high=Decimal(price + 12).scaleb(-4),
            low=Decimal(price - 9).scaleb(-4),
            close=Decimal(price + 3).scaleb(-4),
            volume=Decimal(1000 + number % 500),
            source="bench",
        ),
    )
