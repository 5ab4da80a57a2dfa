# SPDX-License-Identifier: Apache-2.0
"""Bars of the past as a feed: as fast as they are taken, at wall time, or so many times faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from heapq import merge

from station.clock import Clock
from station.errors import StationError
from station.feeds.port import ClosedBar, Ended
from station.feeds.reading import text

BATCH = 500
_MICROSECOND_NS = 1000
_SECOND_NS = 1_000_000_000

Source = Callable[[], Iterator[ClosedBar]]


def in_order(bars: Iterator[ClosedBar], what: str) -> Iterator[ClosedBar]:
    """Give bars as they are, as long as none closes before its predecessor.

    Raises:
        StationError: one does; several sources cannot be played as one then.
    """
    last = None
    for bar in bars:
        if last is not None and bar.closed_at < last:
            raise StationError(
                f"{what}: the bar of {text(bar.closed_at)} comes after that of {text(last)}: sort by time"
            )
        last = bar.closed_at
        yield bar


@dataclass(frozen=True, slots=True)
class Recording:
    """What there is to play.

    Attributes:
        name: for messages.
        symbols: of the bars that are played; others are passed over.
        interval: microseconds.
        sources: each gives its bars from the first on, in order.
    """

    name: str
    symbols: tuple[str, ...]
    interval: int
    sources: tuple[Source, ...]


class Replay:
    """Plays one or several sources in the order of their closes. Events keep the times of the past.

    Args:
        recording: what is played.
        clock: paces.
        speed: how many times faster than it happened, 1: at wall time; None: as fast as they are taken.

    Raises:
        StationError: the speed is not above zero.
    """

    prints_every_interval = False

    def __init__(self, recording: Recording, clock: Clock, speed: Decimal | None = None) -> None:
        if speed is not None and speed <= 0:
            raise StationError(f"{recording.name}: a speed of {speed} plays nothing: give one above zero")
        self.symbols = recording.symbols
        self.interval = recording.interval
        self._recording = recording
        self._clock = clock
        self._speed = speed
        self._bars: Iterator[ClosedBar] = iter(())
        self._next: ClosedBar | None = None
        self._start = 0  # close of the first bar, and when it was played
        self._start_ns = 0

    def open(self) -> None:
        """Start from the first bar."""
        self._bars = self._all()
        self._next = next(self._bars, None)
        self._start = self._next.closed_at if self._next else 0
        self._start_ns = self._clock.monotonic_ns()

    def receive(self, wait_s: float) -> list[ClosedBar]:
        """Return the bars whose time has come, after waiting for it if it is near.

        Raises:
            Ended: all were played.
            StationError: a source cannot be read, or is out of order.
        """
        if self._next is None:
            raise Ended(f"{self._recording.name}: all bars are played")
        wait_ns = self._due_ns(self._next) - self._clock.monotonic_ns()
        if wait_ns > 0:
            self._clock.sleep(min(wait_ns / _SECOND_NS, wait_s))
        now_ns = self._clock.monotonic_ns()
        found: list[ClosedBar] = []
        while self._next is not None and len(found) < BATCH and self._due_ns(self._next) <= now_ns:
            found.append(self._next)
            self._next = next(self._bars, None)
        return found

    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars of the sources with start < close <= end."""
        return (bar for bar in self._all() if bar.symbol == symbol and start < bar.closed_at <= end)

    def close(self) -> None:
        """Play no further."""
        self._bars, self._next = iter(()), None

    def _all(self) -> Iterator[ClosedBar]:
        ordered = (in_order(source(), self._recording.name) for source in self._recording.sources)
        wanted = frozenset(self.symbols)
        return (bar for bar in merge(*ordered, key=lambda bar: bar.closed_at) if bar.symbol in wanted)

    def _due_ns(self, bar: ClosedBar) -> int:
        if self._speed is None:
            return 0
        return self._start_ns + int((bar.closed_at - self._start) * _MICROSECOND_NS / self._speed)
