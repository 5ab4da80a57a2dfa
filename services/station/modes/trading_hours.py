# SPDX-License-Identifier: Apache-2.0
"""The trading hours of a host: while its markets trade, nothing on it is changed.

A host names markets (`trading_markets`) and windows written by hand (`trading_windows`) that freeze it, and windows in
which it trades nothing, whatever is open (`trading_maintenance_windows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from station.clock import to_datetime
from station.errors import StationError
from station.modes import windows
from station.modes.calendar import HORIZON, Calendar, Session, Unknown, at, joined, without
from station.modes.markets import UPDATE, market, names, suggestion
from station.modes.windows import Problem

MARKETS, WINDOWS, MAINTENANCE = "trading_markets", "trading_windows", "trading_maintenance_windows"
_UTC = ZoneInfo("UTC")
_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_WEEK = 7 * 24 * _HOUR
# Each week a host rests for so long at a time that it can be changed.
_REST_HOURS = 2
# A table has so many days left, or somebody has to make it again.
_DAYS_LEFT = 30


@dataclass(frozen=True)
class TradingHours:
    """The settings of a host, read.

    Attributes:
        trading: its markets and windows.
        maintenance: when it trades nothing.
        problems: what could not be read.
    """

    trading: tuple[Calendar, ...]
    maintenance: tuple[Calendar, ...]
    problems: tuple[Problem, ...]

    def stretches(self, start: int, end: int) -> Iterator[Session]:
        """Give the stretches in which it trades and that overlap a span, oldest first."""
        rest = joined(_sorted(self.maintenance, start, end))
        found = without(joined(_sorted(self.trading, start, end)), rest)
        # What lies outside may be maintenance: nobody has looked.
        return (stretch for stretch in found if stretch.closes > start and stretch.opens < end)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Whether a host may be changed now. Times are microseconds UTC.

    Attributes:
        frozen: it may not: it trades, or nobody knows.
        near: as frozen, or its trading begins within the margin.
        why: the markets and windows that trade now or within the margin, in words.
        until: when its trading ends; None while it does not trade, and where it never ends.
        zone: of the market or window that ends then.
        opens: when its trading begins next, None where it never does.
        problems: what has to be corrected before anybody knows.
    """

    frozen: bool
    near: bool
    why: str
    until: int | None
    zone: ZoneInfo
    opens: int | None
    problems: tuple[Problem, ...]

    @property
    def ends(self) -> str:
        """Return until when it is frozen, in words for "frozen until ..."; empty if it is not."""
        if self.problems:
            keys = dict.fromkeys(problem.key.partition("[")[0] for problem in self.problems)
            return f"{' and '.join(keys)} {'is' if len(keys) == 1 else 'are'} corrected"
        if self.frozen and self.until is None:
            return f"{MAINTENANCE} names a time in which it trades nothing"
        if self.until is None:
            return ""
        return f"{to_datetime(self.until).astimezone(self.zone):%a %Y-%m-%d %H:%M} {self.zone.key}"


def read(settings: Mapping[str, Any]) -> TradingHours:
    """Read the three settings; one that is missing is empty.

    Args:
        settings: the variables of a host.
    """
    found: dict[str, list[Calendar]] = {MARKETS: [], WINDOWS: [], MAINTENANCE: []}
    problems: list[Problem] = []
    for key, calendars in found.items():
        entries = settings.get(key, ())
        if not isinstance(entries, list | tuple):
            problems.append(Problem(key, f"{entries!r} is no list", "write [] for none"))
            continue
        for number, entry in enumerate(entries):
            place = f"{key}[{number}]"
            one = _market(place, entry) if key == MARKETS else windows.read(place, entry)
            if isinstance(one, Calendar):
                calendars.append(one)
            else:
                problems += one
    return TradingHours((*found[MARKETS], *found[WINDOWS]), tuple(found[MAINTENANCE]), tuple(problems))


def freeze(hours: TradingHours, now: int, margin_minutes: int = 0) -> Freeze:
    """Return whether a host may be changed now; where a setting cannot be read, it may not.

    Args:
        hours: of the host.
        now: the time, microseconds UTC.
        margin_minutes: how long before its trading begins it is near.
    """
    problems = (*hours.problems, *_unknown(hours, now))
    end = now + HORIZON
    stretches = hours.stretches(now, end)
    first = next(stretches, None)
    if first is None:
        return Freeze(bool(problems), bool(problems), "", None, _UTC, None, problems)
    trades, near = first.opens <= now, first.opens <= now + margin_minutes * _MINUTE
    moment = max(first.opens, now)
    # Two may overlap the moment in one name: a window that is written twice.
    why = dict.fromkeys(one.name for one in hours.trading if any(one.sessions(moment, moment + 1))) if near else ()
    following = next(stretches, None) if trades else first
    return Freeze(
        frozen=trades or bool(problems),
        near=near or bool(problems),
        why=" and ".join(why),
        until=first.closes if trades and first.closes < end else None,
        zone=next(one.zone for one in hours.trading if any(one.sessions(first.closes - 1, first.closes))),
        opens=following.opens if following else None,
        problems=problems,
    )


def trading_hours_problems(settings: Mapping[str, Any], now: int) -> tuple[Problem, ...]:
    """Return what is wrong with the trading hours of a host.

    Args:
        settings: the variables of a host.
        now: the time, microseconds UTC; tables that end soon are a problem, too.
    """
    hours = read(settings)
    return (*hours.problems, *_ending(hours, now), *(() if hours.problems else _restless(hours, now)))


def _sorted(calendars: Sequence[Calendar], start: int, end: int) -> list[Session]:
    found = (session for calendar in calendars for session in calendar.sessions(start, end))
    return sorted(found, key=lambda session: session.opens)


def _market(key: str, entry: object) -> Calendar | tuple[Problem, ...]:
    if not isinstance(entry, str) or entry not in names():
        return (Problem(key, f"there is no market {entry!r}", f"write {suggestion(str(entry))}"),)
    try:
        return market(entry)
    except StationError as error:
        return (Problem(key, str(error), UPDATE),)


def _unknown(hours: TradingHours, now: int) -> Iterator[Problem]:
    for calendar in hours.trading:
        place = at(calendar, now)
        if isinstance(place, Unknown):
            yield Problem(MARKETS, place.reason, UPDATE)


def _ending(hours: TradingHours, now: int) -> Iterator[Problem]:
    today = to_datetime(now).date()
    for calendar in hours.trading:
        if calendar.last - today < timedelta(days=_DAYS_LEFT):
            left = max(0, (calendar.last - today).days)
            yield Problem(MARKETS, f"the table of {calendar.name} ends on {calendar.last}, in {left} days", UPDATE)


def _restless(hours: TradingHours, now: int) -> Iterable[Problem]:
    """Look at each week of a year, as the hours of zones shift against each other."""
    trading = hours.stretches(now, now + 52 * _WEEK)
    # A rest may fail once: where the clocks go forward, 02:00 to 04:00 is an hour.
    if all(one.closes - one.opens <= 2 * _WEEK for one in joined(trading, _REST_HOURS * _HOUR)):
        return ()
    markets = " and ".join(calendar.name for calendar in hours.trading)
    leave = "leaves" if len(hours.trading) == 1 else "leave"
    wrong = f"{markets} {leave} the host less than {_REST_HOURS} free hours at a time in a week"
    return (Problem(MAINTENANCE, wrong, "name a time of the week in which it trades nothing"),)
