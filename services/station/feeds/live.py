# SPDX-License-Identifier: Apache-2.0
"""What the live feeds of all vendors share: subscribe, read, and give out bars as they close."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from station.clock import Clock
from station.errors import StationError, Unavailable
from station.feeds import intervals
from station.feeds.candles import Candles
from station.feeds.intervals import SECOND
from station.feeds.port import ClosedBar, Finding, Notify
from station.feeds.rest import LIVE, Manners
from station.feeds.watchdog import VendorClock
from station.feeds.websocket import Channel

# How far a vendor's clock may be ahead of ours before somebody is told.
SKEW = 5 * SECOND
ANSWER_S = 10.0
SILENCE_S = 60.0  # vendors send something, be it a heartbeat, at least every 30 s
_SECOND_NS = 1_000_000_000
_AT_ONCE = 1000  # messages, so that a burst does not keep closed bars waiting
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a vendor answers, and how long that may take: a command that loads years has more time than a live feed."""

    rest: str
    stream: str
    manners: Manners = LIVE


@dataclass(frozen=True, slots=True)
class Line:
    """What a live feed is given.

    Attributes:
        symbols: what to subscribe to.
        interval: of its bars, microseconds.
        channel: the websocket.
        candles: where its bars are made.
        clock: the time.
        notify: called with what is odd.
    """

    symbols: tuple[str, ...]
    interval: int
    channel: Channel
    candles: Candles
    clock: Clock
    notify: Notify


class LiveFeed(ABC):
    """A feed over a websocket; a vendor's class knows its words."""

    prints_every_interval = False

    def __init__(self, line: Line) -> None:
        self.symbols = line.symbols
        self.interval = line.interval
        self._line = line
        self._vendor_clock = VendorClock(SKEW)
        self._unanswered = 0
        self._opened_ns = 0

    def open(self) -> None:
        """Connect and subscribe.

        Raises:
            Unavailable: not now.
            StationError: the vendor refuses us.
        """
        line = self._line
        line.channel.open()
        # By a vendor's clock that is ahead, an interval may have begun that we believe to come.
        line.candles.begin(line.clock.now() + SKEW)
        subscriptions = self._subscriptions()
        self._unanswered = self._answers(subscriptions)
        self._opened_ns = line.clock.monotonic_ns()
        for subscription in subscriptions:
            line.channel.send(subscription)

    def receive(self, wait_s: float) -> list[ClosedBar]:
        """Return bars that have closed, as soon as there are some; none after `wait_s`.

        Raises:
            Unavailable: the connection cannot be trusted any more.
            StationError: the vendor refuses a subscription.
        """
        line = self._line
        due = line.candles.next_due()
        if due is not None:
            wait_s = min(wait_s, max(0.0, (due - line.clock.now()) / SECOND))
        try:
            self._read_all(wait_s)
        except Unavailable:
            closed = line.candles.closed(line.clock.now())
            if closed:
                return closed  # the next call says it again
            raise
        if self._unanswered and line.clock.monotonic_ns() - self._opened_ns > ANSWER_S * _SECOND_NS:
            line.channel.close()
            raise Unavailable(f"{self._unanswered} subscriptions without an answer for {ANSWER_S:.0f} s")
        return line.candles.closed(line.clock.now())

    def close(self) -> None:
        """End the connection."""
        self._line.channel.close()

    @abstractmethod
    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars with start < close <= end that have closed by now, oldest first."""

    @abstractmethod
    def _subscriptions(self) -> list[dict[str, Any]]:
        """Return what to send after connecting."""

    def _answers(self, subscriptions: list[dict[str, Any]]) -> int:
        """Return how many answers the subscriptions get."""
        return len(subscriptions)

    @abstractmethod
    def _take(self, message: Any) -> None:
        """Understand a message; one that is not as documented may raise what indexing and converting raise."""

    def _answered(self) -> None:
        self._unanswered = max(0, self._unanswered - 1)

    def _check_clock(self, symbol: str, vendor: int) -> None:
        finding = self._vendor_clock.see(symbol, vendor, self._line.clock.now())
        if finding:
            self._line.notify(finding)

    def _read_all(self, wait_s: float) -> None:
        message = self._line.channel.receive(wait_s)
        for _ in range(_AT_ONCE):
            if message is None:
                return
            self._read(message)
            message = self._line.channel.receive(0.0)

    def _read(self, message: Any) -> None:
        try:
            self._take(message)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            # Connecting anew would bring the same; bars that this costs are missed and reported like any other.
            detail = f"{type(error).__name__} {error}: {str(message)[:_SHOWN]}"
            self._line.notify(Finding("malformed", "", self._line.clock.now(), detail))


def require_interval(vendor: str, interval: int, offered: tuple[str, ...]) -> str:
    """Return the name of an interval that a vendor has.

    Raises:
        StationError: it has none of that length.
    """
    name = intervals.name(interval)
    for offer in offered:
        if intervals.parse(offer) == interval:
            return offer
    raise StationError(f"{vendor} has no bars of {name}; it has {', '.join(offered)}")
