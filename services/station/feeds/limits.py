# SPDX-License-Identifier: Apache-2.0
"""How often a vendor may be asked, and how long it wants us to wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from station.clock import Clock, of_datetime

UNKNOWN_WAIT_S = 60.0  # when a vendor limits and does not say for how long
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: float


class TokenBucket:
    """Lets requests through at a rate: a full bucket at once, then one as each token drips in."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = float(rate.requests)
        self._filled_ns = clock.monotonic_ns()

    def wait_s(self, cost: int = 1) -> float:
        """Return the seconds until a request of this cost may go; 0: now.

        Raises:
            ValueError: it costs more than a full bucket.
        """
        if cost > self._rate.requests:
            raise ValueError(f"a request of {cost} can never pass a limit of {self._rate.requests}")
        self._fill()
        return max(0.0, (cost - self._tokens) * self._rate.seconds / self._rate.requests)

    def take(self, cost: int = 1) -> None:
        """Pay for a request that goes now."""
        self._fill()
        self._tokens -= cost

    def _fill(self) -> None:
        now = self._clock.monotonic_ns()
        dripped = (now - self._filled_ns) / _SECOND_NS * self._rate.requests / self._rate.seconds
        self._tokens = min(float(self._rate.requests), self._tokens + dripped)
        self._filled_ns = now


class Limiter:
    """Every rate of a vendor at once, and the pause it asks for when we were too fast all the same."""

    def __init__(self, rates: tuple[Rate, ...], clock: Clock) -> None:
        self._buckets = [TokenBucket(rate, clock) for rate in rates]
        self._clock = clock
        self._paused_until_ns = 0

    def wait_s(self, cost: int = 1) -> float:
        """Return the seconds until a request of this cost may go; 0: now."""
        paused = max(0, self._paused_until_ns - self._clock.monotonic_ns()) / _SECOND_NS
        return max([paused, *(bucket.wait_s(cost) for bucket in self._buckets)])

    def take(self, cost: int = 1) -> None:
        """Pay for a request that goes now."""
        for bucket in self._buckets:
            bucket.take(cost)

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long."""
        self._paused_until_ns = max(self._paused_until_ns, self._clock.monotonic_ns() + int(seconds * _SECOND_NS))


def retry_after(header: str, now: int) -> float:
    """Return the seconds that a Retry-After header asks for; a default if it says nothing one can read.

    Args:
        header: seconds or an HTTP date.
        now: microseconds UTC.
    """
    if re.fullmatch(r"\d{1,9}", header.strip()):
        return float(header)
    try:
        until = of_datetime(parsedate_to_datetime(header))
    except (ValueError, TypeError):
        return UNKNOWN_WAIT_S
    return max(0.0, (until - now) / 1_000_000)
