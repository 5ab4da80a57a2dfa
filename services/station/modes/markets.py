# SPDX-License-Identifier: Apache-2.0
"""Markets by name: rules, and the tables of sessions in the folder `sessions`."""

from __future__ import annotations

import difflib
import re
import tomllib
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from station.errors import StationError
from station.modes.calendar import DAY_MINUTES, Calendar, Hours, Week

TABLES = Path(__file__).parent / "sessions"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UPDATE = "run `python -m tools.sessions` in the repository and commit what it writes"

ALWAYS_OPEN = Calendar("24/7", ZoneInfo("UTC"), (Week(frozenset(range(7)), Hours(0, DAY_MINUTES)),))
# A week from Sunday 17:00 to Friday 17:00; the date turns at 17:00, so that a day closes then.
_CURRENCIES = Calendar(
    "fx", ZoneInfo("America/New_York"), (Week(frozenset(range(5)), Hours(17 * 60 - DAY_MINUTES, 17 * 60)),)
)
_RULES = {market.name: market for market in (ALWAYS_OPEN, _CURRENCIES)}
# Nasdaq keeps the days and hours of the New York Stock Exchange, and the calendars' library has one calendar for both.
_SAME = {"XNAS": "XNYS"}
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


@lru_cache
def names() -> tuple[str, ...]:
    """Return the names of all markets, sorted."""
    return tuple(sorted([*_RULES, *_SAME, *(path.stem for path in TABLES.glob("*.toml"))]))


@lru_cache
def market(name: str) -> Calendar:
    """Return the calendar of a market.

    Raises:
        StationError: there is none of that name, or its table is broken.
    """
    if name not in names():
        raise StationError(f'"{name}" is no market; write {suggestion(name)}')
    if name in _RULES:
        return _RULES[name]
    path = TABLES / f"{_SAME.get(name, name)}.toml"
    try:
        return parse(name, path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StationError(f"{path}: cannot be read ({error}): {UPDATE}") from error


def suggestion(name: str) -> str:
    """Return the names of markets that are like a mistaken one, of all if none is."""
    spelled = {known.casefold(): known for known in names()}
    like = difflib.get_close_matches(name.casefold(), spelled, n=2)
    found = [spelled[word] for word in like] or list(names())
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} or {found[-1]}"


def parse(name: str, text: str) -> Calendar:
    """Return the calendar that a table says.

    Args:
        name: of the market.
        text: TOML, as `tools.sessions` writes it.

    Raises:
        ValueError, KeyError, TypeError: it is no such table.
    """
    table = tomllib.loads(text)
    weeks = tuple(_week(week) for week in table["weeks"])
    exceptions = {
        date.fromisoformat(day): None if hours == "closed" else _hours(hours, _pause_on(weeks, date.fromisoformat(day)))
        for day, hours in table["exceptions"].items()
    }
    return Calendar(name, ZoneInfo(table["timezone"]), weeks, exceptions, table["first"], table["last"])


def _week(week: dict[str, Any]) -> Week:
    pause = _times(week["pause"]) if "pause" in week else None
    return Week(frozenset(DAYS.index(day) for day in week["days"]), _hours(week["hours"], pause), week["since"])


def _pause_on(weeks: tuple[Week, ...], day: date) -> tuple[int, int] | None:
    return next((week.hours.pause for week in reversed(weeks) if week.since <= day), None)


def _hours(text: str, pause: tuple[int, int] | None) -> Hours:
    """Return hours; a session that would close before it opens has opened the day before, a half one has no pause."""
    opens, closes = _times(text)
    opens -= DAY_MINUTES if opens >= closes else 0
    return Hours(opens, closes, pause if pause and opens < pause[0] and pause[1] < closes else None)


def _times(text: str) -> tuple[int, int]:
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not closed and no hours such as 09:30-16:00')
    numbers = [int(number) for number in match.groups()]
    return numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
