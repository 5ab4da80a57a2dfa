# SPDX-License-Identifier: Apache-2.0
"""Trying again: how long to wait between two tries, and the loop that does it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from station.clock import Clock
from station.errors import Unavailable

T = TypeVar("T")
Uniform = Callable[[float, float], float]  # a random number between two bounds


def waits(base: float = 0.05, cap: float = 2.0, uniform: Uniform = random.uniform) -> Iterator[float]:
    """Yield seconds to wait, without end: anything from nothing to a bound that doubles each time (full jitter).

    Those who lost one server at one time so come back at different times.

    Args:
        base: the first bound in seconds.
        cap: the largest bound in seconds.
        uniform: draws a number between two bounds.
    """
    bound = base
    while True:
        yield uniform(0.0, bound)
        bound = min(cap, 2 * bound)


def persist(attempt: Callable[[], T], clock: Clock, seconds: Iterator[float], stopped: Callable[[], bool]) -> T:
    """Return what an attempt returns, which is made again for as long as the other side is unavailable.

    Args:
        attempt: what is tried; doing it twice must be doing it once.
        clock: waits.
        seconds: how long before each next try, such as `waits()`.
        stopped: says that nobody needs the answer any more.

    Raises:
        Unavailable: of the last attempt, when it was stopped.
    """
    while True:
        try:
            return attempt()
        except Unavailable:
            if stopped():
                raise
        clock.sleep(next(seconds))


@dataclass(frozen=True, slots=True)
class Patience:
    """How a service waits for another: until it answers, or the service is to end.

    Attributes:
        clock: waits.
        stopped: says that the service is to end; always true for somebody who waits himself.
        waits: returns how many seconds lie before each next try.
    """

    clock: Clock
    stopped: Callable[[], bool]
    waits: Callable[[], Iterator[float]] = waits

    def persist(self, attempt: Callable[[], T]) -> T:
        """Do as `persist`."""
        return persist(attempt, self.clock, self.waits(), self.stopped)
