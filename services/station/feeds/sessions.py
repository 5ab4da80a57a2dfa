# SPDX-License-Identifier: Apache-2.0
"""Which bars there should be: at every hour of the day, or while a market is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from station.errors import StationError
from station.feeds.intervals import DAY, grid_close
from station.feeds.reading import text
from station.modes.calendar import HORIZON, Calendar, Session
from station.modes.markets import ALWAYS_OPEN, UPDATE


@dataclass(frozen=True, slots=True)
class Sessions:
    """The bars of a calendar. All times are microseconds UTC.

    Bars begin at whole multiples of their length; those that overlap a session are expected, but for those within its
    pause. Bars of a day or longer close with their session.
    """

    calendar: Calendar

    def closes(self, start: int, end: int, interval: int) -> Iterator[int]:
        """Give the closes of the expected bars with start < close <= end, oldest first.

        Raises:
            StationError: the calendar does not reach that far.
        """
        return chain.from_iterable(self._runs(start, end, interval))

    def missing(self, before: int, after: int, interval: int) -> tuple[int, int, int] | None:
        """Return first close, last close and number of the bars expected between two closes, None if there are none.

        Raises:
            StationError: the calendar does not reach that far.
        """
        # Not one by one: a mistaken date must not cost minutes.
        runs = list(self._runs(before, after - 1, interval))
        return (runs[0][0], runs[-1][-1], sum(map(len, runs))) if runs else None

    def last_close(self, time: int, interval: int) -> int | None:
        """Return the newest expected close that is not after a moment, None if the calendar begins later.

        Raises:
            StationError: the calendar does not reach that far.
        """
        self._require(time, time)
        if self.calendar is ALWAYS_OPEN:
            return time // interval * interval
        # Of sessions that have begun; the newest may be too young for a whole bar.
        for session in reversed(list(self.calendar.sessions(time - HORIZON, time + 1))):
            for run in reversed(_session_runs(session, interval)):
                closes = range(run.start, min(run.stop, time + 1), run.step)
                if closes:
                    return closes[-1]
        return None

    def _runs(self, start: int, end: int, interval: int) -> Iterator[range]:
        """Give the closes with start < close <= end as runs that are not empty."""
        if end <= start:
            return
        self._require(start, end)
        if self.calendar is ALWAYS_OPEN:
            yield from filter(None, [range(grid_close(start, interval), end + 1, interval)])
            return
        last = start
        # A session's last bar may close after it, by less than an interval.
        for session in self.calendar.sessions(start - interval, end):
            for run in _session_runs(session, interval):
                first = max(run.start, last + 1 + (run.start - last - 1) % interval)
                closes = range(first, min(run.stop, end + 1), interval)
                if closes:
                    yield closes
                    last = closes[-1]

    def _require(self, start: int, end: int) -> None:
        wrong = "" if self.calendar is ALWAYS_OPEN else self.calendar.outside(start, end)
        if wrong:
            raise StationError(f"{wrong}, and nothing is known of bars from {text(start)} to {text(end)}: {UPDATE}")


def _session_runs(session: Session, interval: int) -> list[range]:
    if interval >= DAY:
        return [range(session.closes, session.closes + 1, interval)]
    edges = (session.opens, *(session.pause or ()), session.closes)
    return [
        range(grid_close(opens, interval), grid_close(closes - 1, interval) + 1, interval)
        for opens, closes in zip(edges[::2], edges[1::2], strict=True)
    ]


ALWAYS = Sessions(ALWAYS_OPEN)
