# SPDX-License-Identifier: Apache-2.0
"""Sessions of a market or a window: is it open at a time, since when, when does it close, when does it open next.

Times are microseconds UTC. Local time is found here only: in the hours of a calendar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from station.clock import of_datetime, to_datetime

DAY_MINUTES = 24 * 60
# How far ahead an opening or a closing is looked for; no market that we know rests longer.
HORIZON = 21 * 86_400_000_000
# Rules have no end; this one keeps a mistaken date from costing minutes.
FIRST, LAST = date(2000, 1, 1), date(2099, 12, 31)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """One session.

    Attributes:
        opens, closes: microseconds UTC; at its close it is over.
        pause: from when until when it rests in between, such as over lunch.
    """

    opens: int
    closes: int
    pause: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a session on a date, in minutes since that date's midnight by the clock on the wall.

    Attributes:
        opens, closes: from -1440, a day before, to 2880, the end of the day after.
        pause: as for `Session`.
    """

    opens: int
    closes: int
    pause: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse hours that no session has.

        Raises:
            ValueError: it closes before it opens, lies outside of the three days, or rests outside of itself.
        """
        edges = (self.opens, *(self.pause or ()), self.closes)
        if self.opens < -DAY_MINUTES or self.closes > 2 * DAY_MINUTES:
            raise ValueError(f"a session from minute {self.opens} to {self.closes} is not within three days")
        if any(before >= after for before, after in pairwise(edges)):
            raise ValueError(f"minutes {', '.join(map(str, edges))} of a session do not follow each other")


@dataclass(frozen=True, slots=True)
class Week:
    """The hours of every week from a date on; days are 0 for Monday to 6."""

    days: frozenset[int]
    hours: Hours
    since: date = FIRST


@dataclass(frozen=True)
class Calendar:
    """The sessions of a market, or the openings of a window. None overlaps the one before it.

    Attributes:
        name: how a person calls it.
        zone: of its hours.
        weeks: the rules, oldest first.
        exceptions: dates with other hours, None for closed.
        first, last: the dates that it speaks of; nothing is known outside.
    """

    name: str
    zone: ZoneInfo
    weeks: tuple[Week, ...]
    exceptions: Mapping[date, Hours | None] = field(default_factory=dict)
    first: date = FIRST
    last: date = LAST
    _made: dict[date, Session | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def start(self) -> int:
        """Return from when on it knows sessions."""
        return self._instant(self.first, 0)

    @cached_property
    def end(self) -> int:
        """Return until when it knows sessions."""
        return self._instant(self.last, DAY_MINUTES)

    def outside(self, start: int, end: int) -> str:
        """Return in words why it cannot speak of a span, empty if it can."""
        if start < self.start:
            return f"the table of {self.name} begins on {self.first}"
        if end > self.end:
            return f"the table of {self.name} ends on {self.last}"
        return ""

    def hours(self, day: date) -> Hours | None:
        """Return the hours of a date, None if there is no session."""
        if day in self.exceptions:
            return self.exceptions[day]
        rules = [week for week in self.weeks if week.since <= day]
        return rules[-1].hours if rules and day.weekday() in rules[-1].days else None

    def sessions(self, start: int, end: int) -> Iterator[Session]:
        """Give the sessions that overlap a span, oldest first; none from outside of what is known."""
        start, end = max(start, self.start), min(end, self.end)
        if end <= start:
            return
        day = max(self.first, to_datetime(start).astimezone(self.zone).date() - _DAY)
        last = min(self.last, to_datetime(end).astimezone(self.zone).date() + _DAY)
        while day <= last:
            session = self._session(day)
            if session and session.opens < end and session.closes > start:
                yield session
            day += _DAY

    def _session(self, day: date) -> Session | None:
        if day not in self._made:
            hours = self.hours(day)
            self._made[day] = self._on(day, hours) if hours else None
        return self._made[day]

    def _on(self, day: date, hours: Hours) -> Session:
        opens, closes = self._instant(day, hours.opens), self._instant(day, hours.closes)
        if opens >= closes:
            # It opens in the hour that is left out in spring: rather too early than never.
            opens = self._instant(day, hours.opens, fold=1)
        pause = (self._instant(day, hours.pause[0]), self._instant(day, hours.pause[1])) if hours.pause else None
        return Session(opens, closes, pause)

    def _instant(self, day: date, minutes: int, fold: int = 0) -> int:
        """Return a time on the wall as one in UTC: of one that comes twice, the first."""
        wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
        return of_datetime(wall.replace(tzinfo=self.zone, fold=fold))


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a time lies in a calendar.

    Attributes:
        session: the session that it lies in, whose pause counts.
        is_open: whether it trades, which it does not in a pause.
        closes: when the last of the sessions that follow each other without a break is over.
        opens: when the next opens after that, or after now.

    closes is None while it is closed, and both where it does not happen within `HORIZON`: some markets never close.
    """

    session: Session | None
    is_open: bool
    closes: int | None
    opens: int | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer of a calendar that does not reach that far, with the reason in words."""

    reason: str


def at(calendar: Calendar, now: int) -> Moment | Unknown:
    """Return where a time lies in a calendar.

    Args:
        calendar: whose.
        now: the time, microseconds UTC.
    """
    wrong, end = calendar.outside(now, now + 1), now + HORIZON
    if wrong:
        return Unknown(wrong)
    found = list(calendar.sessions(now, end))
    session = found[0] if found and found[0].opens <= now else None
    stretches = list(islice(joined(found), 2))
    closes = stretches.pop(0).closes if session else None
    opens = stretches[0].opens if stretches else None
    if opens is None and end > calendar.end:
        return Unknown(calendar.outside(now, end))
    pauses = session is not None and session.pause is not None and session.pause[0] <= now < session.pause[1]
    return Moment(session, session is not None and not pauses, closes if closes and closes < end else None, opens)


def joined(sessions: Iterable[Session], gap: int = 1) -> Iterator[Session]:
    """Give sessions with those made one between which there is less than a gap, without their pauses.

    Args:
        sessions: in the order in which they open; they may overlap.
        gap: microseconds.
    """
    opens = closes = None
    for session in sessions:
        if opens is None or closes is None:
            opens, closes = session.opens, session.closes
        elif session.opens - closes < gap:
            closes = max(closes, session.closes)
        else:
            yield Session(opens, closes)
            opens, closes = session.opens, session.closes
    if opens is not None and closes is not None:
        yield Session(opens, closes)


def without(sessions: Iterable[Session], holes: Iterable[Session]) -> Iterator[Session]:
    """Give what is left of sessions where others are taken out.

    Args:
        sessions: in order.
        holes: in order and apart from each other, as from `joined`.
    """
    known = list(holes)
    for session in sessions:
        opens = session.opens
        for hole in known:
            if opens < hole.closes and hole.opens < session.closes:
                if opens < hole.opens:
                    yield Session(opens, hole.opens)
                opens = hole.closes
        if opens < session.closes:
            yield Session(opens, session.closes)
