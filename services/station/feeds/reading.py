# SPDX-License-Identifier: Apache-2.0
"""Numbers and times out of other people's data: exact, or refused."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from station.clock import of_datetime, to_datetime

PER_MICROSECOND = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}
# Digits before and behind the point of any price and volume; more is a mistake, and costs memory when printed.
_DIGITS = 40
# Vendors write up to nanoseconds; datetime reads microseconds.
_TOO_FINE = re.compile(r"(\.\d{6})\d+")


def decimal(value: object) -> Decimal:
    """Return a number as it was written; a float as the shortest text that means it.

    Raises:
        ValueError: not a number, not a finite one, or beyond any price and volume.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 - to the reader of a file both are bad values
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    if not -_DIGITS <= number.adjusted() <= _DIGITS or (isinstance(value, str) and len(value) > 2 * _DIGITS):
        raise ValueError(f"{str(value)[:60]} is no price and no volume")
    return number


def micros(value: object, zone: tzinfo = UTC, unit: str | None = None) -> int:
    """Return a time as microseconds UTC.

    Args:
        value: ISO 8601 text or, with a unit, a number since 1970.
        zone: of text that names none.
        unit: "s", "ms", "us" or "ns".

    Raises:
        ValueError: not a time.
    """
    if unit is not None:
        times, parts = PER_MICROSECOND[unit]
        return int(decimal(value) * times // parts)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a time")  # noqa: TRY004 - as above
    time = datetime.fromisoformat(_TOO_FINE.sub(r"\1", value.strip()))
    return of_datetime(time if time.tzinfo else time.replace(tzinfo=zone))


def text(time: int) -> str:
    """Return microseconds UTC as people read them."""
    return to_datetime(time).isoformat().replace("+00:00", "Z")


def parse_json(data: str | bytes) -> Any:
    """Return what JSON says, with its numbers as they were written.

    Raises:
        ValueError: not JSON.
    """
    try:
        return json.loads(data, parse_float=decimal, parse_constant=decimal)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None
