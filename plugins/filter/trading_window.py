# SPDX-License-Identifier: Apache-2.0
"""Whether a host is in its market hours now, and when they next open and close."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DOCUMENTATION = r"""
name: trading_window
short_description: Say whether now is in a host's market hours
description:
  - Takes windows (days, from, until, timezone) and returns a dictionary. A window whose end is before its start ends on
    the next day. Daylight saving is that of the window's zone.
options:
  _input:
    description: The windows.
    type: list
    elements: dict
    required: true
  now:
    description: The time, as ISO 8601 with an offset; by default the control machine's.
    type: str
  margin_minutes:
    description: How long before an opening the host is already left alone.
    type: int
    default: 0
"""

EXAMPLES = r"""
inside: "{{ (kernel_trading_windows | trading_window(margin_minutes=25)).inside }}"
"""

RETURN = r"""
_value:
  description:
    - inside (in a window now), near (in one, or one opens within the margin), window (which one, in words), closes and
      opens (ISO 8601, empty when never) and problems (lines).
  type: dict
"""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Window:
    """One window of every week."""

    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo
    words: str

    def occurrences(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield start and end, in UTC, of those that are not over yet, in their order, for a week and more."""
        today = now.astimezone(self.zone).date()
        for offset in range(-2, 9):
            day = today + timedelta(days=offset)
            if day.weekday() not in self.days:
                continue
            last = day if self.start < self.end else day + timedelta(days=1)
            start = datetime.combine(day, self.start, self.zone).astimezone(UTC)
            end = datetime.combine(last, self.end, self.zone).astimezone(UTC)
            if end > now:
                yield start, end


def _clock(text: object) -> time:
    hours, _, minutes = str(text).partition(":")
    if not (hours.isdigit() and len(minutes) == 2 and minutes.isdigit()):
        raise ValueError(f"{text!r} is no time of day; write HH:MM in quotes")
    return time(int(hours), int(minutes))


def read(entry: Mapping[str, Any]) -> Window:
    """Read one window.

    Raises:
        ValueError: it is none.
    """
    days = [str(day) for day in entry.get("days") or ()]
    unknown = [day for day in days if day not in DAYS]
    if unknown or not days:
        raise ValueError(f"days is {', '.join(days) or 'empty'}; write some of {', '.join(DAYS)}")
    start, end = _clock(entry.get("from")), _clock(entry.get("until"))
    if start == end:
        raise ValueError(f"from and until are both {start:%H:%M}; a window has a length")
    name = str(entry.get("timezone") or "")
    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f'there is no time zone "{name}"; write one such as America/New_York') from error
    numbers = frozenset(DAYS.index(day) for day in days)
    return Window(numbers, start, end, zone, f"{','.join(days)} {start:%H:%M}-{end:%H:%M} {name}")


def at(windows: Sequence[Window], now: datetime, margin: timedelta) -> dict[str, Any]:
    """Return where a time lies; pure.

    Args:
        windows: the windows of a host.
        now: the time, with an offset.
        margin: how long before an opening counts as near.
    """
    found = sorted(
        ((start, end, window.words) for window in windows for start, end in window.occurrences(now)),
        key=lambda item: item[:2],
    )
    near = [item for item in found if item[0] - margin <= now]
    inside = [item for item in found if item[0] <= now]
    later = [start for start, _, _ in found if start > now]
    return {
        "inside": bool(inside),
        "near": bool(near),
        "window": near[0][2] if near else "",
        "closes": max(end for _, end, _ in inside).isoformat() if inside else "",
        "opens": min(later).isoformat() if later else "",
    }


def trading_window(entries: Sequence[Mapping[str, Any]], now: str = "", margin_minutes: int = 0) -> dict[str, Any]:
    """Return where the time lies in the windows of a host.

    Args:
        entries: windows of days, from, until and timezone.
        now: ISO 8601 with an offset; the control machine's clock when empty.
        margin_minutes: how long before an opening counts as near.
    """
    windows, problems = [], []
    for number, entry in enumerate(entries):
        try:
            windows.append(read(entry))
        except ValueError as error:
            problems.append(f"kernel_trading_windows[{number}]: {error}")
    moment = datetime.fromisoformat(now) if now else datetime.now(UTC)
    return {**at(windows, moment, timedelta(minutes=margin_minutes)), "problems": problems}


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"trading_window": trading_window}
