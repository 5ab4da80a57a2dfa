# SPDX-License-Identifier: Apache-2.0
"""A live feed read until it has said what the test waits for, and a service around it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import Any

from station.feeds.backfill import Filler
from station.feeds.intervals import MINUTE, SECOND
from station.feeds.live import LiveFeed
from station.feeds.port import ClosedBar
from station.feeds.quality import Inspector
from station.feeds.service import FeedService, Parts
from station.feeds.sessions import ALWAYS
from station.feeds.watchdog import Watchdog

from tests.integration.services.feeds.vendors.servers import Stream
from tests.unit.services.feeds.feeds_kit import NOON, ManualClock, Notes, Shelf

PATIENCE = 200  # times a tenth of a second, for a busy machine


def read_until(feed: LiveFeed, enough: Callable[[list[ClosedBar]], bool]) -> list[ClosedBar]:
    """Return what a feed gives out until that is enough."""
    found: list[ClosedBar] = []
    for _ in range(PATIENCE):
        found += feed.receive(0.1)
        if enough(found):
            return found
    raise AssertionError(f"not within the time: {found}")


class SteeredClock(ManualClock):
    """A clock whose time of day the test sets, while no time passes for those who measure silence."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def monotonic_ns(self) -> int:
        return int(self.passed_s * 1e9)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.passed_s += seconds


class Counter:
    """Counts the messages that a feed has read."""

    def __init__(self, feed: LiveFeed) -> None:
        self.feed = feed
        self.messages = 0
        self._read = feed._read
        feed._read = self._count  # type: ignore[method-assign]

    def _count(self, message: Any) -> None:
        self._read(message)
        self.messages += 1

    def settle(self, stream: Stream) -> None:
        """Read until the feed has all that the server sends; no bar may close meanwhile."""
        for _ in range(PATIENCE):
            assert self.feed.receive(0.05) == []
            still = stream.holding or stream.played == len(stream.subscriptions)
            if stream.subscriptions and still and self.messages >= stream.sent:
                return
        raise AssertionError(f"{self.messages} of {stream.sent} messages")


def read(feed: LiveFeed, number: int) -> list[ClosedBar]:
    """Return the next bars of a feed."""
    return read_until(feed, lambda found: len(found) >= number)


class Service:
    """A service over a live feed; each pass of its loop may move the clock."""

    def __init__(self, feed: LiveFeed, clock: SteeredClock, notes: Notes, known: int | None = None) -> None:
        self.shelf = Shelf()
        self.health: list[tuple[str, str]] = []
        self.clock = clock
        parts = Parts(
            feed=feed,
            publisher=self.shelf,
            clock=clock,
            inspector=Inspector(MINUTE),
            filler=Filler(feed, clock, ALWAYS),
            watchdog=Watchdog(feed.symbols, MINUTE, 10 * SECOND, ALWAYS, clock.time),
            waits=lambda: repeat(0.25),
            tell=lambda state, detail: self.health.append((state, detail)),
            notify=notes.append,
        )
        symbols = feed.symbols
        self.service = FeedService(parts, {} if known is None else dict.fromkeys(symbols, NOON + known * MINUTE))

    def step_until(self, enough: Callable[[], bool]) -> None:
        for _ in range(PATIENCE):
            self.service.step()
            if enough():
                return
        raise AssertionError(f"not within the time: {self.shelf.minutes} {self.health}")

    def publishes(self, minutes: list[int]) -> None:
        """Go on until these minutes are published, in this order and no others."""
        self.step_until(lambda: len(self.shelf.minutes) >= len(minutes))
        assert self.shelf.minutes == minutes
