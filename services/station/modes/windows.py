# SPDX-License-Identifier: Apache-2.0
"""Windows that a person writes by hand: days, from, until, timezone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from station.modes.calendar import DAY_MINUTES, Calendar, Hours, Week
from station.modes.markets import DAYS

KEYS = ("days", "from", "until", "timezone")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that cannot be meant, and what can."""

    key: str
    wrong: str
    right: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.key}: {self.wrong}; {self.right}"


def read(key: str, entry: object) -> Calendar | tuple[Problem, ...]:
    """Return the openings of a window, or what is wrong with it.

    A window whose end is before its start ends on the next day.

    Args:
        key: where it stands.
        entry: what stands there.
    """
    if not isinstance(entry, Mapping):
        return (Problem(key, f"{entry!r} is no window", f"write {', '.join(KEYS)}"),)
    days, zone = entry.get("days"), entry.get("timezone")
    numbers, start, end, place = _days(days), _minutes(entry.get("from")), _minutes(entry.get("until")), _zone(zone)
    problems = [Problem(key, f"{name} is no part of a window", f"write {', '.join(KEYS)}") for name in _unknown(entry)]
    if not numbers:
        problems.append(Problem(f"{key}.days", f"{days!r} are no days", f"write a list of {', '.join(DAYS)}"))
    for name, minutes in (("from", start), ("until", end)):
        if minutes is None:
            problems.append(
                Problem(
                    f"{key}.{name}", f"{entry.get(name)!r} is no time of day", 'write HH:MM in quotes, such as "09:30"'
                )
            )
    if place is None:
        problems.append(
            Problem(f"{key}.timezone", f"there is no time zone {zone!r}", "write one such as America/New_York")
        )
    if start is not None and start == end:
        problems.append(Problem(key, f"from and until are both {_text(start)}", "write a window that has a length"))
    if problems or start is None or end is None or place is None:
        return tuple(problems)
    words = f"{','.join(DAYS[number] for number in sorted(numbers))} {_text(start)}-{_text(end)} {zone}"
    return Calendar(words, place, (Week(numbers, Hours(start, end if start < end else end + DAY_MINUTES)),))


def _unknown(entry: Mapping[Any, Any]) -> list[str]:
    return sorted(str(name) for name in entry if name not in KEYS)


def _days(days: object) -> frozenset[int]:
    if not isinstance(days, list | tuple) or not all(isinstance(day, str) and day in DAYS for day in days):
        return frozenset()
    return frozenset(DAYS.index(day) for day in days)


def _minutes(value: object) -> int | None:
    # Unquoted, YAML reads 16:00 as a number to base 60.
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * 60 + int(match[2]) if match else None


def _zone(name: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (ValueError, OSError, KeyError):
        return None


def _text(minutes: int) -> str:
    return "{:02}:{:02}".format(*divmod(minutes, 60))
