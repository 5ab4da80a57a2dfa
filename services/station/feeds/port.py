# SPDX-License-Identifier: Apache-2.0
"""What a source of bars promises, whoever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from station.domain.market import Bar
from station.errors import Unavailable
from station.events import MarketEvent


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """A bar with the two times that its event will carry, both microseconds UTC."""

    bar: Bar
    closed_at: int  # the end of its interval
    available: int  # when it could first be known; never before

    @property
    def symbol(self) -> str:
        """Return what was traded."""
        return self.bar.symbol

    def event(self) -> MarketEvent:
        """Return the event that tells of it; who publishes it sets producer, run and sequence."""
        return MarketEvent(
            agent_id="", run=0, sequence=0, timestamp=self.closed_at, available=self.available, payload=self.bar
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data that somebody should know; it is counted by its kind."""

    kind: str  # a word: gap, duplicate, correction, late, impossible, split, ...
    symbol: str
    closed_at: int  # microseconds UTC: the bar it is about
    detail: str


Notify = Callable[[Finding], None]


class RateLimited(Unavailable):
    """The vendor wants us to wait so long; asking sooner makes it worse."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Ended(Exception):  # noqa: N818 - the last page of a book is no mistake
    """Nothing more will ever come: a replay is over."""


class History(Protocol):
    """Bars of one interval that closed before now."""

    @property
    def interval(self) -> int:
        """The length of its bars in microseconds."""

    def history(self, symbol: str, start: int, end: int) -> Iterator[ClosedBar]:
        """Give the bars with start < close <= end that have closed by now, oldest first.

        Raises:
            Unavailable: not now (RateLimited: how long).
            StationError: not until a person mends it (credential, symbol).
        """


class Feed(History, Protocol):
    """A source of bars that goes on. One thread uses it."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """What it was asked for; its bars have no other symbols."""

    @property
    def prints_every_interval(self) -> bool:
        """Whether a bar comes even if nothing was traded, so that a missing one was lost."""

    def open(self) -> None:
        """Connect and subscribe; again after `receive` said Unavailable.

        Raises:
            Unavailable: not now.
            StationError: as for `history`.
        """

    def receive(self, wait_s: float) -> list[ClosedBar]:
        """Return bars that have closed, as soon as there are some; none after `wait_s`.

        Raises:
            Unavailable: the connection is gone or cannot be trusted any more.
            Ended: nothing more will come.
            StationError: as for `history`.
        """

    def close(self) -> None:
        """End the connection."""
