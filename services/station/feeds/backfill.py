# SPDX-License-Identifier: Apache-2.0
"""Filling holes from a vendor's history, while the live feed goes on.

History lags behind the live feed by seconds to minutes, so what is not there yet is asked for a few more times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from station.clock import Clock
from station.errors import Unavailable
from station.feeds.port import ClosedBar, Feed, Finding, RateLimited
from station.feeds.reading import text
from station.feeds.sessions import Sessions

AT_ONCE = 5000  # bars, which bounds the memory that a long absence costs
TRIES = 3
AGAIN_S = 20.0
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Bars of a symbol with start < close <= end, microseconds UTC."""

    symbol: str
    start: int
    end: int
    tries: int = 0
    not_before: int = 0  # our clock; asking sooner is of no use


class Filler:
    """What is still wanted from history. A vendor that does not answer costs no try."""

    def __init__(
        self, feed: Feed, clock: Clock, sessions: Sessions | None, tries: int = TRIES, again_s: float = AGAIN_S
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._sessions = sessions
        self._tries = tries
        self._again = int(again_s * _SECOND)
        self._wanted: list[Wanted] = []

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """Return what is missing and not given up."""
        return tuple(self._wanted)

    def want(self, symbol: str, start: int, end: int) -> None:
        """Ask for the bars of a symbol with start < close <= end."""
        covered = any(one.symbol == symbol and one.start <= start and end <= one.end for one in self._wanted)
        if start >= end or covered:
            return
        # At each reconnection the same hole is wanted again, a little longer.
        within = [one for one in self._wanted if one.symbol == symbol and start <= one.start and one.end <= end]
        for one in within:
            self._wanted.remove(one)
        self._wanted.append(Wanted(symbol, start, end, not_before=max((one.not_before for one in within), default=0)))

    def fill(self) -> tuple[list[ClosedBar], list[Finding]]:
        """Return the bars that history has by now, oldest first, and what was given up or could not be asked for.

        Raises:
            StationError: the vendor refuses, or the calendar does not reach that far.
        """
        now = self._clock.now()
        due = [one for one in self._wanted if one.not_before <= now]
        self._wanted = [one for one in self._wanted if one.not_before > now]
        found: list[ClosedBar] = []
        findings: list[Finding] = []
        for index, one in enumerate(due):
            try:
                bars = list(islice(self._feed.history(one.symbol, one.start, one.end), AT_ONCE))
            except Unavailable as error:
                # The next ones would be refused as well.
                wait = int(error.wait_s * _SECOND) if isinstance(error, RateLimited) else self._again
                self._wanted += [replace(later, not_before=now + wait) for later in due[index:]]
                findings.append(Finding("no_history", one.symbol, one.end, str(error)))
                break
            found += bars
            findings += self._rest(one, bars, now)
        return list(_as_known_now(sorted(found, key=lambda bar: bar.closed_at), self._clock.now())), findings

    def _rest(self, one: Wanted, bars: list[ClosedBar], now: int) -> list[Finding]:
        # Holes before the newest bar of the answer are the vendor's own: nothing was traded, or it lost them too.
        start = max((bar.closed_at for bar in bars), default=one.start)
        if len(bars) == AT_ONCE:
            self._wanted.append(replace(one, start=start))
            return []
        missing = self._sessions.missing(start, one.end + 1, self._feed.interval) if self._sessions else None
        if missing is None:
            return []
        if one.tries + 1 < self._tries:
            self._wanted.append(replace(one, start=start, tries=one.tries + 1, not_before=now + self._again))
            return []
        first, last, number = missing
        detail = f"history has no {number} from {text(first)} to {text(last)}"
        return [Finding("unfilled", one.symbol, last, detail)]


def _as_known_now(bars: list[ClosedBar], now: int) -> Iterator[ClosedBar]:
    # Nobody here knew of them before, whenever they closed.
    for bar in bars:
        yield replace(bar, available=max(now, bar.closed_at))
