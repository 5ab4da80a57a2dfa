# SPDX-License-Identifier: Apache-2.0
"""Lengths of bars: "1m", "1h", "1d" and microseconds."""

from __future__ import annotations

import re

from station.errors import StationError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}


def parse(text: str) -> int:
    """Return the microseconds of an interval.

    Raises:
        StationError: the text is no interval.
    """
    match = re.fullmatch(r"([1-9]\d*)([smhd])", text)
    if match is None:
        raise StationError(f'"{text}" is no interval: write a number and s, m, h or d, for example 5m')
    return int(match[1]) * _UNITS[match[2]]


def name(interval: int) -> str:
    """Return the shortest text of an interval, in its largest whole unit."""
    for unit, length in _UNITS.items():
        if interval > 0 and interval % length == 0:
            return f"{interval // length}{unit}"
    return f"{interval}us"


def grid_close(time: int, interval: int) -> int:
    """Return the close of the bar that a moment falls into, for bars that begin at whole multiples of their length."""
    return time // interval * interval + interval
