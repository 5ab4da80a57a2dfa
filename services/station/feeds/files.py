# SPDX-License-Identifier: Apache-2.0
"""Bars in files: CSV and Parquet, row by row, whatever the size."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from datetime import time as local_time
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from station.clock import of_datetime
from station.domain.market import Bar
from station.errors import StationError
from station.feeds import reading
from station.feeds.port import ClosedBar

PRICES = ("open", "high", "low", "close", "volume")
_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Layout:
    """What the rows of a file mean.

    Attributes:
        interval: microseconds.
        source: where the data is from; becomes the bars' source.
        stamped: which end of its interval a row's time is.
        symbol: of all rows; None: the column `symbol` says it.
        time: column of the time.
        time_format: of times that are text but not ISO 8601, as strptime has it.
        columns: of open, high, low, close and volume.
        unit: of times that are numbers: "s", "ms", "us" or "ns"; None: they are text.
        zone: of times that name none.
        day_closes: the local time at which the market closes, for rows that have a date and no time.
    """

    interval: int
    source: str
    stamped: Literal["open", "close"]
    symbol: str | None = None
    time: str = "time"
    columns: tuple[str, str, str, str, str] = PRICES
    time_format: str | None = None
    unit: str | None = None
    zone: tzinfo = UTC
    day_closes: local_time | None = None


def read(path: Path, layout: Layout) -> Iterator[ClosedBar]:
    """Give the bars of a file in its order.

    Raises:
        StationError: the file cannot be read, lacks a column, or a row is not a bar.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise StationError(f"{path}: neither .csv nor .parquet")
    rows = _csv_rows(path, layout) if path.suffix == ".csv" else _parquet_rows(path, layout)
    try:
        for number, row in rows:
            try:
                yield _bar(row, layout)
            except ValueError as error:
                raise StationError(f"{path}: row {number}: {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise StationError(f"{path}: {' '.join(str(error).split())}") from None


def _csv_rows(path: Path, layout: Layout) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, strict=True)
        _require(path, reader.fieldnames or (), layout)
        for row in reader:
            yield reader.line_num, row


def _parquet_rows(path: Path, layout: Layout) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with pq.ParquetFile(path) as file:
        _require(path, file.schema_arrow.names, layout)
        number = 0
        for batch in file.iter_batches(_ROWS, columns=_needed(layout)):
            for row in _plain(batch, layout).to_pylist():
                number += 1
                yield number, row


def _plain(batch: pa.RecordBatch, layout: Layout) -> pa.RecordBatch:
    """Return rows whose times are ISO text or numbers, as in a CSV."""
    index = batch.schema.get_field_index(layout.time)
    kind = batch.schema.field(index).type
    if not pa.types.is_timestamp(kind):
        return batch
    # Not to Python's datetime, which cannot hold nanoseconds.
    micros = batch.column(index).cast(pa.timestamp("us", kind.tz), safe=False).to_pylist()
    return batch.set_column(index, layout.time, pa.array([_iso(value) for value in micros], pa.string()))


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _needed(layout: Layout) -> list[str]:
    return [layout.time, *layout.columns, *(() if layout.symbol else ("symbol",))]


def _require(path: Path, there: Iterable[str], layout: Layout) -> None:
    missing = [name for name in _needed(layout) if name not in set(there)]
    if missing:
        known = ", ".join(f'"{name}"' for name in there)
        raise StationError(f'{path}: no column "{missing[0]}"; it has {known}')


def _bar(row: Mapping[str, Any], layout: Layout) -> ClosedBar:
    prices = {name: reading.decimal(row[column]) for name, column in zip(PRICES, layout.columns, strict=True)}
    symbol = layout.symbol or row["symbol"]
    if not symbol:
        raise ValueError("no symbol")
    close = _close(row[layout.time], layout)
    bar = Bar(symbol=str(symbol), interval=layout.interval, source=layout.source, **prices)
    return ClosedBar(bar, close, available=close)


def _close(value: object, layout: Layout) -> int:
    if layout.day_closes is not None:
        day = date.fromisoformat(str(value)[:10])
        return of_datetime(datetime.combine(day, layout.day_closes, layout.zone))
    if layout.time_format is not None:
        time = datetime.strptime(str(value), layout.time_format)  # noqa: DTZ007 - the layout says the zone
        value = (time if time.tzinfo else time.replace(tzinfo=layout.zone)).isoformat()
    stamp = reading.micros(value, layout.zone, layout.unit)
    return stamp + layout.interval if layout.stamped == "open" else stamp
