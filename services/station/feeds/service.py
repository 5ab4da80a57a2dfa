# SPDX-License-Identifier: Apache-2.0
"""From a feed to the bus: connect, fill what was missed, publish what closes, connect again when it breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeVar

from station.clock import Clock
from station.errors import StationError, Unavailable
from station.events import MarketEvent
from station.feeds.backfill import Filler
from station.feeds.port import ClosedBar, Ended, Feed, Notify, RateLimited
from station.feeds.quality import Inspector
from station.feeds.reading import text
from station.feeds.watchdog import Watchdog
from station.retry import waits

WAIT_S = 0.25  # a stop is noticed within so long
# Vendors bar an address that comes too often (Binance: 300 connections in 5 minutes).
RECONNECT = partial(waits, 1.0, 60.0)
T = TypeVar("T")
Tell = Callable[[Literal["ready", "degraded"], str], None]


class Publisher(Protocol):
    """What puts events on the bus: `station.bus.producer.Producer`, which sets producer, run and sequence."""

    def publish(self, events: Sequence[MarketEvent]) -> object:
        """Publish, once, however often the bus goes away.

        Raises:
            Unavailable: the service was stopped before it was done.
        """

    def backlog(self) -> int:
        """Return how many entries the slowest reader has not acknowledged.

        Raises:
            Unavailable: as for `publish`.
        """


@dataclass(frozen=True, slots=True)
class Parts:
    """What a feed service is made of.

    Attributes:
        feed: where bars come from.
        publisher: where events go.
        clock: the time.
        inspector: says which bars are new.
        filler: fills holes; None: the feed has no other history than itself, as a replay.
        watchdog: says whether bars are overdue; None: nothing is ever overdue, as in a replay.
        largest_backlog: entries that readers may be behind before the feed waits; None: a live feed cannot wait.
        tell: called when the service's health changes.
        notify: called with what is odd about the data.
        waits: seconds between attempts to connect; anew whenever bars came.
    """

    feed: Feed
    publisher: Publisher
    clock: Clock
    inspector: Inspector
    filler: Filler | None
    watchdog: Watchdog | None
    tell: Tell
    notify: Notify
    waits: Callable[[], Iterator[float]] = RECONNECT
    largest_backlog: int | None = None


class FeedService:
    """Publishes each bar of a feed once, in the order in which they closed as far as the vendor allows.

    Args:
        parts: what it is made of.
        known: close of the newest bar of each symbol that was published before, microseconds UTC.
    """

    def __init__(self, parts: Parts, known: Mapping[str, int] | None = None) -> None:
        self._parts = parts
        self._stop = threading.Event()
        self._seconds = parts.waits()
        self._connected = False
        self._health = ""
        self._reopened_for = 0  # close of the overdue bar that made us connect anew
        self._settled: set[str] = set()  # symbols that had a bar since the connection, so that the seam is closed
        for symbol, close in (known or {}).items():
            parts.inspector.start_after(symbol, close)

    def run(self) -> None:
        """Publish until `stop` is called or the feed ends.

        Raises:
            StationError: a person has to mend something; asking again would only make it worse.
            Conflict: somebody else publishes in our name.
        """
        try:
            while not self._stop.is_set():
                self.step()
        except Ended:
            return
        except StationError as error:
            self._tell("degraded", str(error))
            raise
        finally:
            self._parts.feed.close()

    def stop(self) -> None:
        """End `run` soon; from any thread."""
        self._stop.set()

    def step(self) -> int:
        """Do what is next, for less than a second if the vendor is well, and return how many bars were published.

        Raises:
            Ended: the feed is over, or the service was stopped while the bus was away.
            StationError, Conflict: as for `run`.
        """
        published = 0
        try:
            if self._readers_are_behind():
                self._parts.clock.sleep(WAIT_S)
                return 0
            if not self._connected:
                self._connect()
            published += self._fill()
            published += self._take(self._parts.feed.receive(WAIT_S))
            self._judge()
        except Unavailable as error:
            self._connected = False
            self._tell("degraded", str(error))
            self._pause(error.wait_s if isinstance(error, RateLimited) else 0.0)
        return published

    def _readers_are_behind(self) -> bool:
        limit = self._parts.largest_backlog
        return limit is not None and _on_bus(self._parts.publisher.backlog) > limit

    def _connect(self) -> None:
        feed, filler = self._parts.feed, self._parts.filler
        feed.open()
        self._connected = True
        self._settled.clear()
        for symbol in feed.symbols if filler else ():
            newest = self._parts.inspector.newest(symbol)
            if filler and newest is not None:
                filler.want(symbol, newest, self._parts.clock.now())

    def _fill(self) -> int:
        if self._parts.filler is None or not self._parts.filler.wanted:
            return 0
        bars, findings = self._parts.filler.fill()
        for finding in findings:
            self._parts.notify(finding)
        return self._publish([bar for bar in bars if self._new(bar)])

    def _take(self, bars: Sequence[ClosedBar]) -> int:
        published = 0
        ready: list[ClosedBar] = []
        for bar in bars:
            if self._close_seam(bar):
                published += self._publish(ready)
                ready = []
                published += self._fill()
            if self._new(bar):
                ready.append(bar)
        return published + self._publish(ready)

    def _close_seam(self, bar: ClosedBar) -> bool:
        """Ask for what is missing just before a bar, if it may have been lost; return whether there is something."""
        parts, symbol = self._parts, bar.symbol
        newest = parts.inspector.newest(symbol)
        lossy = parts.feed.prints_every_interval or symbol not in self._settled
        self._settled.add(symbol)
        before = bar.closed_at - bar.bar.interval
        if parts.filler is None or newest is None or not lossy or before <= newest:
            return False
        parts.filler.want(symbol, newest, before)
        return True

    def _new(self, bar: ClosedBar) -> bool:
        verdict = self._parts.inspector.see(bar)
        for finding in verdict.findings:
            self._parts.notify(finding)
        return verdict.accepted

    def _publish(self, bars: Sequence[ClosedBar]) -> int:
        if not bars:
            return 0
        events = [bar.event() for bar in bars]
        _on_bus(lambda: self._parts.publisher.publish(events))
        for bar in bars:
            if self._parts.watchdog:
                self._parts.watchdog.saw(bar.symbol, bar.closed_at)
        self._seconds = self._parts.waits()
        return len(bars)

    def _judge(self) -> None:
        """Say how it goes.

        Raises:
            Unavailable: nothing comes any more; the connection only looks alive.
        """
        overdue = self._parts.watchdog.stale(self._parts.clock.now()) if self._parts.watchdog else {}
        if not overdue:
            self._tell("ready", "")
            return
        symbol, close = min(overdue.items(), key=lambda item: item[1])
        detail = f"{len(overdue)} symbols overdue: no bar of {symbol} for {text(close)}"
        if len(overdue) == len(self._parts.feed.symbols) and close > self._reopened_for:
            self._reopened_for = close
            raise Unavailable(f"{detail}; connecting anew")
        self._tell("degraded", detail)

    def _tell(self, state: Literal["ready", "degraded"], detail: str) -> None:
        # One symbol more or less overdue is no news.
        if state != self._health:
            self._health = state
            self._parts.tell(state, detail)

    def _pause(self, at_least_s: float) -> None:
        remaining = at_least_s + next(self._seconds)
        while remaining > 0 and not self._stop.is_set():
            self._parts.clock.sleep(min(remaining, WAIT_S))
            remaining -= WAIT_S


def _on_bus(act: Callable[[], T]) -> T:
    # The publisher waits for the bus by itself and gives up only when the service is to end.
    try:
        return act()
    except Unavailable as error:
        raise Ended(f"stopped: {error}") from None
