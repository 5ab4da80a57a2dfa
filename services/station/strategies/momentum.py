# SPDX-License-Identifier: Apache-2.0
"""Momentum: long while the fast average of closes is above the slow one, short below, flat in between."""

from __future__ import annotations

from collections.abc import Collection
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from station.domain.market import Bar
from station.domain.trading import Signal
from station.strategies.base import BarStrategy

# Its own rounding, so that no caller's context changes a signal.
_ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN)
LONG, FLAT, SHORT = Decimal(1), Decimal(0), Decimal(-1)


class Momentum(BarStrategy):
    """Sign of the difference of two exponential moving averages of closes.

    Args:
        symbols: what it has an opinion about.
        fast: bars of the fast average (alpha = 2 / (bars + 1)), seeded with the first close.
        slow: bars of the slow average, more than `fast`.
        band: the difference, as a share of the slow average, up to which it stays flat.
    """

    def __init__(self, symbols: Collection[str], fast: int, slow: int, band: Decimal) -> None:
        super().__init__(symbols)
        self._fast, self._slow, self._band = fast, slow, band
        self._averages: dict[str, tuple[Decimal, Decimal]] = {}

    @property
    def warm_up(self) -> int:
        """Three slow averages' length: what is left of the first close is then below 0.3 %."""
        return 3 * self._slow

    def opinion(self, bar: Bar) -> Signal:
        """Return full long, full short or flat, for as long as the slow average looks back."""
        with localcontext(_ARITHMETIC):
            fast, slow = self._averages.get(bar.symbol, (bar.close, bar.close))
            fast = average(fast, bar.close, self._fast)
            slow = average(slow, bar.close, self._slow)
            self._averages[bar.symbol] = (fast, slow)
            difference, least = fast - slow, self._band * slow
        strength = LONG if difference > least else SHORT if difference < -least else FLAT
        return Signal(symbol=bar.symbol, strength=strength, horizon=self._slow * bar.interval)


def average(before: Decimal, price: Decimal, bars: int) -> Decimal:
    """Return an exponential moving average after one more price."""
    return before + 2 * (price - before) / (bars + 1)
