# SPDX-License-Identifier: Apache-2.0
"""Time as the services see it. Nothing else reads a clock, so that a test or a replay can be its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def of_datetime(moment: datetime) -> int:
    """Return a time that knows its zone as microseconds UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(moment: int) -> datetime:
    """Return microseconds UTC as a time of that zone."""
    return _EPOCH + moment * _MICROSECOND


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
