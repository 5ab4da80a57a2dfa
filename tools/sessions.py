# SPDX-License-Identifier: Apache-2.0
"""Write the tables of sessions that the services and the plays read, from the library exchange_calendars.

The library and pandas, which it needs, are large and slow to import, and no host has them. The tables say the rule of a
week and the dates that differ, so that a new holiday is one line of a diff.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from station.modes.calendar import DAY_MINUTES, Calendar, Hours
from station.modes.markets import DAYS, TABLES, parse

MARKETS = ("CMES", "XETR", "XHKG", "XLON", "XNYS", "XTKS")
SINCE = date(2020, 1, 1)
# Minutes for which a market rests where the library lets a session last until the next one opens. Globex:
# cmegroup.com/trading-hours.html and the library's own change 594, which is not in the release that we have.
_HALTS = {"CMES": 60}


@dataclass(frozen=True)
class Schedule:
    """What a library says of a market.

    Attributes:
        name, zone: of the market.
        first, last: from when until when it is known.
        hours: of each date that has a session.
        changes: dates from which on other rules hold.
    """

    name: str
    zone: str
    first: date
    last: date
    hours: Mapping[date, Hours]
    changes: frozenset[date] = frozenset()


def table(schedule: Schedule, origin: str) -> str:
    """Return the table of a market: for each rule its most frequent hours, and what differs from them.

    Args:
        schedule: with a session after each change of its rules.
        origin: where the schedule is from, for the head of the file.

    Raises:
        ValueError: a session cannot be written.
    """
    first, last = schedule.first, schedule.last
    starts = sorted({first, *(day for day in schedule.changes if first < day <= last)})
    ends = [start - timedelta(days=1) for start in starts[1:]] + [last]
    rules, exceptions = [], []
    for start, end in zip(starts, ends, strict=True):
        dates = _dates(start, end)
        there = [schedule.hours[day] for day in dates if day in schedule.hours]
        usual = max(set(there), key=there.count)
        days = _weekdays(dates, schedule.hours)
        rules.append(_rule(start, days, usual))
        for day in dates:
            found = schedule.hours.get(day)
            if found != (usual if day.weekday() in days else None):
                exceptions.append(f'{day} = "{_words(found)}" # {DAYS[day.weekday()]}')
    text = "\n".join(
        [
            f"# Sessions of {schedule.name}, from {origin}. Written by `python -m tools.sessions`: do not edit.",
            "# Local times. A session has the date of its close; if it opens later in the day than that, a day before.",
            f'timezone = "{schedule.zone}"',
            f"first = {first}",
            f"last = {last}",
            "",
            *rules,
            "[exceptions]",
            *exceptions,
            "",
        ]
    )
    _compare(schedule, parse(schedule.name, text))
    return text


def _weekdays(dates: list[date], hours: Mapping[date, Hours]) -> list[int]:
    """Return the days of a week that most often have a session."""
    balance = Counter[int]()
    for day in dates:
        balance[day.weekday()] += 1 if day in hours else -1
    return [number for number in range(7) if balance[number] > 0]


def _compare(schedule: Schedule, read: Calendar) -> None:
    for day in _dates(read.first, read.last):
        found, right = read.hours(day), schedule.hours.get(day)
        if found != right:
            raise ValueError(f"{schedule.name}: {day} would be read as {found}, and is {right}")


def _dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _rule(since: date, days: list[int], hours: Hours) -> str:
    listed = ", ".join(f'"{DAYS[day]}"' for day in days)
    pause = f'pause = "{_clock(hours.pause[0])}-{_clock(hours.pause[1])}"\n' if hours.pause else ""
    return f'[[weeks]]\nsince = {since}\ndays = [{listed}]\nhours = "{_words(hours)}"\n{pause}'


def _words(hours: Hours | None) -> str:
    return f"{_clock(hours.opens)}-{_clock(hours.closes)}" if hours else "closed"


def _clock(minutes: int) -> str:
    return "{:02}:{:02}".format(*divmod(minutes % DAY_MINUTES, 60))


def ask(name: str, first: date, last: date) -> Schedule:
    """Return what the library says of a market.

    Args:
        name: of the library's calendar.
        first: from when.
        last: until when.
    """
    # Half a second, and with pandas.
    import exchange_calendars  # noqa: PLC0415
    import pandas  # noqa: PLC0415

    calendar = exchange_calendars.get_calendar(name, start=str(first), end=str(last))
    hours = {}
    for label, row in calendar.schedule.iterrows():
        day = label.date()
        opens, closes = _minutes(row["open"], day, calendar.tz), _minutes(row["close"], day, calendar.tz)
        if closes - opens == DAY_MINUTES:
            closes -= _HALTS.get(name, 0)
        starts, ends = row["break_start"], row["break_end"]
        rests = not pandas.isna(starts)
        pause = (_minutes(starts, day, calendar.tz), _minutes(ends, day, calendar.tz)) if rests else None
        hours[day] = Hours(opens, closes, pause)
    rules = (calendar.open_times, calendar.close_times, calendar.break_start_times, calendar.break_end_times)
    changes = {since.date() for times in rules for since, _ in times or () if since is not None}
    return Schedule(name, calendar.tz.key, first, last, hours, frozenset(changes))


def _minutes(moment: Any, day: date, zone: ZoneInfo) -> int:
    wall: datetime = moment.to_pydatetime().astimezone(zone).replace(tzinfo=None)
    return (wall - datetime.combine(day, time())) // timedelta(minutes=1)


def main() -> int:
    """Write the tables of all markets, from `SINCE` until in a year; what lies beyond, exchanges may still change."""
    origin = f"exchange_calendars {version('exchange_calendars')}"
    last = datetime.now(UTC).date() + timedelta(days=365)
    for name in MARKETS:
        schedule = ask(name, SINCE, last)
        path = TABLES / f"{name}.toml"
        path.write_text(table(schedule, origin))
        sys.stdout.write(f"{path.relative_to(Path.cwd())}: {len(schedule.hours)} sessions until {schedule.last}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
