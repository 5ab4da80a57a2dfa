# SPDX-License-Identifier: Apache-2.0
"""Which bars there should be: at every hour of the day, or while a market is open."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from station.errors import StationError
from station.feeds.intervals import DAY, grid_close
from station.feeds.reading import text


@dataclass(frozen=True, slots=True)
class Sessions:
    """When a market is open. All times are microseconds UTC.

    Bars begin at whole multiples of their length; those that overlap a session are expected. Bars of a day or longer
    close with their session.

    Attributes:
        hours: (open, close) of each session, in order; None: always open.
        start, end: what `hours` was made for; nothing is known outside.
    """

    hours: tuple[tuple[int, int], ...] | None = None
    start: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        """Refuse hours that no calendar has.

        Raises:
            StationError: a session ends before it begins, or two are out of order.
        """
        for opened, closed in self.hours or ():
            if opened >= closed:
                raise StationError(
                    f"the session that opens {text(opened)} closes {text(closed)}: put open before close"
                )
        for before, after in pairwise(self.hours or ()):
            if before[1] > after[0]:
                raise StationError(f"the session that opens {text(after[0])} is before the end of another: sort them")

    def closes(self, start: int, end: int, interval: int) -> Iterator[int]:
        """Give the closes of the expected bars with start < close <= end, oldest first.

        Raises:
            StationError: the calendar does not reach that far.
        """
        if end <= start:
            return
        self._require(start, end)
        if self.hours is None:
            yield from range(grid_close(start, interval), end + 1, interval)
            return
        last = start
        # A session's last bar may close after it, by less than an interval.
        first = bisect_right(self.hours, start - interval, key=lambda session: session[1])
        for opened, closed in self.hours[first:]:
            if opened >= end:
                return
            for close in _session_closes(opened, closed, interval):
                if last < close <= end:
                    yield close
                    last = close

    def missing(self, before: int, after: int, interval: int) -> tuple[int, int, int] | None:
        """Return first close, last close and number of the bars expected between two closes, None if there are none.

        Raises:
            StationError: the calendar does not reach that far.
        """
        if self.hours is None:
            # Not one by one: a mistaken date must not cost minutes.
            closes: range | list[int] = range(grid_close(before, interval), after, interval)
        else:
            closes = list(self.closes(before, after - 1, interval))
        return (closes[0], closes[-1], len(closes)) if closes else None

    def last_close(self, time: int, interval: int) -> int | None:
        """Return the newest expected close that is not after a moment, None if the calendar begins later.

        Raises:
            StationError: the calendar does not reach that far.
        """
        self._require(time, time)
        if self.hours is None:
            return time // interval * interval
        # Of sessions that have begun; the newest may be too young for a whole bar.
        for opened, closed in reversed(self.hours[: bisect_right(self.hours, time, key=lambda session: session[0])]):
            closes = [close for close in _session_closes(opened, closed, interval) if close <= time]
            if closes:
                return closes[-1]
        return None

    def _require(self, start: int, end: int) -> None:
        if self.hours is not None and not self.start <= start <= end <= self.end:
            raise StationError(
                f"the calendar reaches from {text(self.start)} to {text(self.end)}, "
                f"asked for {text(start)} to {text(end)}: update the calendar"
            )


def _session_closes(opened: int, closed: int, interval: int) -> Iterator[int]:
    if interval >= DAY:
        yield closed
        return
    yield from range(grid_close(opened, interval), grid_close(closed - 1, interval) + 1, interval)


ALWAYS = Sessions()
