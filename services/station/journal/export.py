# SPDX-License-Identifier: Apache-2.0
"""The journal as Parquet, a file for each day on which records were made: a copy that needs none of our programs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from station.errors import StationError
from station.journal import record as records
from station.journal.rows import JournalRow, rows_of
from station.journal.segments import Reader, first_line, segments
from station.journal.writer import sync_folder

SCHEMA = pa.schema(
    [
        ("sequence", pa.int64()),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("recorded", pa.timestamp("us", tz="UTC")),
        ("stream", pa.dictionary(pa.int32(), pa.string())),
        ("agent_id", pa.dictionary(pa.int32(), pa.string())),
        ("type", pa.dictionary(pa.int32(), pa.string())),
        ("hash", pa.string()),
        ("record", pa.binary()),  # the bytes that were hashed
    ]
)
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and the records in it."""

    path: Path
    first: int
    last: int


def export(folder: Path, target: Path, since: date = date.min) -> list[Exported]:
    """Write the days of a journal, the present one as far as it is; files of the same name are replaced.

    Args:
        folder: of the segments.
        target: where the files go, `journal-<day>.parquet`.
        since: first day.

    Raises:
        Altered: the segments are not what was written; what is finished by then is right.
        StationError: the files cannot be read or written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with closing(_reader_from(folder, since)) as reader:
            return list(_write(reader, target, since))
    except OSError as error:
        raise StationError(f"cannot export {folder} to {target}: {error}") from error


class _DayFile:
    """The file of a day, under another name until it is whole."""

    def __init__(self, path: Path, chain_id: bytes) -> None:
        self._path, self._part = path, path.with_suffix(".part")
        self._schema = SCHEMA.with_metadata({"station.chain": chain_id.hex()})
        self._writer = parquet.ParquetWriter(self._part, self._schema, compression="zstd")
        self._first = self._last = 0

    def add(self, rows: Sequence[JournalRow]) -> None:
        self._first, self._last = self._first or rows[0].seq, rows[-1].seq
        columns = dict(zip(JournalRow._fields, zip(*rows, strict=True), strict=True))
        columns["sequence"] = columns.pop("seq")
        columns["record"] = tuple(row.record.encode() for row in rows)
        data = {field.name: list(columns[field.name]) for field in self._schema}
        self._writer.write_batch(pa.RecordBatch.from_pydict(data, schema=self._schema))

    def finish(self) -> Exported:
        self._writer.close()
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        self._part.replace(self._path)
        sync_folder(self._path.parent)
        return Exported(self._path, self._first, self._last)


def _write(reader: Reader, target: Path, since: date) -> Iterator[Exported]:
    day, file = date.min, None
    for lines in reader.blocks():
        for present, rows in groupby(rows_of(lines).journal, key=lambda row: _day(row.recorded)):
            # A clock that was set back makes no day a second time.
            if present > day:
                if file is not None:
                    yield file.finish()
                day = present
                file = _DayFile(target / f"journal-{day}.parquet", reader.chain_id) if day >= since else None
            if file is not None:
                file.add(list(rows))
    if file is not None:
        yield file.finish()


def _reader_from(folder: Path, since: date) -> Reader:
    """Return a reader at the last segment that begins before a day."""
    paths = segments(folder)
    earlier = [path for path in paths if _day_of_first(path) < since]
    return Reader(earlier[-1]) if earlier else Reader.at_beginning(folder)


def _day_of_first(path: Path) -> date:
    body = first_line(path).rstrip(b"\n").split(b"\t", 2)[-1]
    return _day(records.parse(body).recorded)


def _day(time: int) -> date:
    return _EPOCH + timedelta(days=time // _DAY_US)
