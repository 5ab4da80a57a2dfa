# SPDX-License-Identifier: Apache-2.0
"""A clock that a test moves, bars, and the two ends of a feed service."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from decimal import Decimal

from station.domain.market import Bar
from station.events import MarketEvent
from station.feeds import reading
from station.feeds.intervals import MINUTE, SECOND
from station.feeds.port import ClosedBar, Ended, Finding

NOON = reading.micros("2024-03-04T12:00:00Z")


class ManualClock:
    """Time stands still, but for those who sleep."""

    def __init__(self, now: int = NOON) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> int:
        return self.time

    def monotonic_ns(self) -> int:
        return self.time * 1000

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.time += int(seconds * SECOND)


def bar(
    close: int,
    price: str = "100",
    *,
    symbol: str = "BTC/USD",
    interval: int = MINUTE,
    available: int | None = None,
    volume: str = "1",
) -> ClosedBar:
    number = Decimal(price)
    prices = {"open": number, "high": number, "low": number, "close": number}
    made = Bar(symbol=symbol, interval=interval, volume=Decimal(volume), source="test", **prices)
    return ClosedBar(made, close, close if available is None else available)


def minute(number: int, price: str = "100", *, symbol: str = "BTC/USD") -> ClosedBar:
    """Return the bar that closes so many minutes after noon, and is seen then."""
    return bar(NOON + number * MINUTE, price, symbol=symbol)


def closes(bars: Sequence[ClosedBar]) -> list[int]:
    """Return in which minutes after noon bars closed."""
    return [(one.closed_at - NOON) // MINUTE for one in bars]


class Shelf:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[MarketEvent] = []
        self.behind = 0
        self.error: Exception | None = None

    def publish(self, events: Sequence[MarketEvent]) -> None:
        if self.error is not None:
            raise self.error
        self.events += events

    def backlog(self) -> int:
        return self.behind

    @property
    def minutes(self) -> list[int]:
        return [(event.timestamp - NOON) // MINUTE for event in self.events]


class Script:
    """A feed that does what the test wrote: bars are received, an exception is raised, a number of minutes passes."""

    prints_every_interval = False
    interval = MINUTE

    def __init__(self, clock: ManualClock, *steps: list[ClosedBar] | Exception | int) -> None:
        self.symbols: tuple[str, ...] = ("BTC/USD",)
        self.clock = clock
        self.steps = deque(steps)
        self.past: list[ClosedBar] | Exception = []
        self.asked: list[tuple[str, int, int]] = []
        self.opened = 0
        self.closed = 0

    def open(self) -> None:
        self.opened += 1
        step = self.steps[0] if self.steps else None
        if isinstance(step, ConnectionError):
            self.steps.popleft()
            raise step.args[0]

    def receive(self, wait_s: float) -> list[ClosedBar]:  # noqa: ARG002 - the script has its own pace
        if not self.steps:
            raise Ended("the script")
        step = self.steps.popleft()
        if isinstance(step, Exception):
            raise step
        if isinstance(step, int):
            self.clock.time += step * MINUTE
            return []
        return step

    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        self.asked.append((symbol, (start - NOON) // MINUTE, (end - NOON) // MINUTE))
        if isinstance(self.past, Exception):
            raise self.past
        return (one for one in self.past if one.symbol == symbol and start < one.closed_at <= end)

    def close(self) -> None:
        self.closed += 1


class Notes(list[Finding]):
    """Findings as they were made."""

    @property
    def kinds(self) -> list[str]:
        return [finding.kind for finding in self]
