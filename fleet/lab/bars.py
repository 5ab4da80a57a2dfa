"""Real bars for the lab: what ships inside the package `backtesting`, in the form in which the fleet stores bars."""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fleet.errors import UserError

SOURCE = "backtesting"
HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXCHANGE_TIME = ZoneInfo("America/New_York")
CLOSING_TIME = time(16)


@dataclass(frozen=True, order=True)
class Bar:
    """One bar as table `ohlcv` keeps it; times in microseconds UTC.

    Attributes:
        ts: when the bar closed.
        available_at: when it could first be known.
    """

    ts: int
    sym: str
    timeframe: str
    o: float
    h: float
    l: float  # noqa: E741 - the table's name
    c: float
    v: float
    exchange: str
    data_source: str
    available_at: int

    @property
    def stream_id(self) -> tuple[int, int]:
        """Return the id of its stream entry: milliseconds of the close, then a number made of its identity."""
        identity = f"{self.sym} {self.timeframe} {self.exchange} {self.data_source}"
        return self.ts // 1000, zlib.crc32(identity.encode())

    def to_fields(self) -> dict[str, str]:
        """Return the fields of its stream entry; a number's text gives the same number when read."""
        return {name: str(value) for name, value in vars(self).items()}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Bar:
        """Return the bar of a stream entry or of a row of the table."""
        kinds = {"int": int, "float": float, "str": str}
        return cls(**{field.name: kinds[str(field.type)](values[field.name]) for field in fields(cls)})


def digest(bars: Iterable[Bar]) -> str:
    """Return a checksum over every value of every bar, whatever their order."""
    lines = (",".join(map(str, vars(bar).values())) for bar in sorted(bars))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def real_bars() -> list[Bar]:
    """Return hourly EUR/USD of 2017 and daily GOOG of 2004 to 2013, in the order of their stream entries."""
    bars = [_hourly(row) for row in _rows("EURUSD.csv")] + [_daily(row) for row in _rows("GOOG.csv")]
    return sorted(bars, key=lambda bar: bar.stream_id)


def _rows(name: str) -> list[dict[str, str]]:
    package = find_spec(SOURCE)  # found, not imported: that would load its plotting library
    if package is None or package.origin is None:
        raise UserError(f"the package `{SOURCE}` with the sample data is missing: run `make setup`")
    with (Path(package.origin).parent / "test" / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def _hourly(row: Mapping[str, str]) -> Bar:
    # Stamped at the open, in UTC: the file's weeks begin on Sunday at 17:00 New York time in summer and in winter.
    opened = datetime.fromisoformat(row[""]).replace(tzinfo=UTC)
    return _bar(row, opened + HOUR, "EURUSD", "1h", "FX")


def _daily(row: Mapping[str, str]) -> Bar:
    # The file has dates. On the few days with an early close the stamp is late, never early.
    day = datetime.fromisoformat(row[""])
    return _bar(row, datetime.combine(day, CLOSING_TIME, EXCHANGE_TIME), "GOOG", "1d", "NASDAQ")


def _bar(row: Mapping[str, str], closed: datetime, sym: str, timeframe: str, exchange: str) -> Bar:
    ts = (closed - EPOCH) // timedelta(microseconds=1)
    o, h, l, c, v = (float(row[name]) for name in ("Open", "High", "Low", "Close", "Volume"))  # noqa: E741
    return Bar(ts, sym, timeframe, o, h, l, c, v, exchange, SOURCE, available_at=ts)
