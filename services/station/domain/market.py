# SPDX-License-Identifier: Apache-2.0
"""Bars."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of one interval, stamped at its close by the event that carries it."""

    symbol: str
    interval: int  # microseconds
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    source: str

    def problems(self) -> list[str]:
        """Return what no market can have printed, in words."""
        found = []
        if not self.low <= min(self.open, self.close) or not max(self.open, self.close) <= self.high:
            found.append(f"open {self.open} and close {self.close} are not between low {self.low} and high {self.high}")
        if self.low <= 0:
            found.append(f"low {self.low} is not above zero")
        if self.volume < 0:
            found.append(f"volume {self.volume} is below zero")
        if self.interval <= 0:
            found.append(f"interval {self.interval} is not above zero")
        return found
