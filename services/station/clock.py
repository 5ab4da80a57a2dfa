# SPDX-License-Identifier: Apache-2.0
"""Time as the services see it. Nothing else reads a clock, so that a test or a replay can be its own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> int:
        """Return microseconds since 1970 in UTC; may jump when the clock is set."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back, the same for every process of the host."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The host's clocks."""

    def now(self) -> int:
        """Return microseconds since 1970 in UTC."""
        return time.time_ns() // 1000

    def monotonic_ns(self) -> int:
        """Return nanoseconds of CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
