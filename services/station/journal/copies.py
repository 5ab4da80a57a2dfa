# SPDX-License-Identifier: Apache-2.0
"""Compares QuestDB with the segments: every row, whatever says it, against the record it was made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from station.clock import Clock
from station.journal.chain import Head
from station.journal.rows import BarRow, JournalRow, rows_of
from station.journal.segments import Altered, Line
from station.journal.store import Copy, Extent

# A query each; with the bars of a batch it is a few dozen megabytes.
BATCH = 20_000
# So long may a record be on the disk before it has to be in QuestDB too, which may have been away.
PATIENCE_US = 300_000_000


class CopyCheck:
    """Compares the rows of the records that are read.

    Attributes:
        stored: records that QuestDB holds.
    """

    def __init__(self, copy: Copy, clock: Clock) -> None:
        """Look how much is stored; what comes later is not compared.

        Raises:
            Unavailable: the database does not answer.
        """
        self._copy, self._clock = copy, clock
        self._extent: Extent = copy.extent()
        self.stored = self._extent.last
        self._waiting: list[Line] = []

    def lines(self, lines: Sequence[Line]) -> None:
        """Compare lines, a batch at a time."""
        self._waiting += lines
        if len(self._waiting) >= BATCH:
            self._compare()

    def end(self, head: Head) -> None:
        """Compare what is left, and see that there is no row that no record accounts for."""
        self._compare()
        extent = self._extent
        if extent.last > head.sequence:
            raise Altered(head.sequence + 1, "truncation", f"QuestDB holds record {extent.last}")
        if extent.last_bar > head.sequence:
            raise Altered(head.sequence + 1, "projection", f"bars has a row of record {extent.last_bar}")
        if extent.strays:
            raise Altered(1, "projection", f"{extent.strays} rows of QuestDB name no record")

    def _compare(self) -> None:
        if not self._waiting:
            return
        rows = rows_of(self._waiting)
        self._waiting = []
        journal = self._due(rows.journal)
        if journal:
            last = journal[-1].seq
            _compare_journal(journal, self._copy.journal(journal[0].seq, last))
            self._compare_bars([bar for bar in rows.bars if bar.seq <= last], journal[0].seq, last)

    def _due(self, rows: list[JournalRow]) -> list[JournalRow]:
        """Return the rows that have to be in QuestDB: all that were, and those that are older than its lag may be."""
        latest = self._clock.now() - PATIENCE_US
        for number, row in enumerate(rows):
            if row.seq > self._extent.last and row.recorded > latest:
                return rows[:number]
        return rows

    def _compare_bars(self, expected: Sequence[BarRow], first: int, last: int) -> None:
        bars = {bar.seq: bar for bar in expected}
        rows: dict[int, list[BarRow]] = {}
        for row in self._copy.bars(first, last):
            rows.setdefault(row.seq, []).append(row)
        later = self._rows_at({bar.ts for sequence, bar in bars.items() if sequence not in rows})
        for sequence in sorted(bars.keys() | rows.keys()):
            bar, found = bars.get(sequence), rows.get(sequence, [])
            if bar is None:
                raise Altered(sequence, "projection", f"bars has {found[0]}, the record is no bar")
            # A later bar of the same key took its place; that one is compared with its own record.
            if not found and later.get(bar.key, 0) <= sequence:
                raise Altered(sequence, "projection", f"bars has no row of {bar}")
            if found and found != [bar]:
                raise Altered(sequence, "projection", f"bars says {found}, the record {bar}")

    def _rows_at(self, times: Collection[int]) -> dict[tuple[int, str, str, int], int]:
        return {row.key: row.seq for row in self._copy.bars_at(sorted(times))} if times else {}


def _compare_journal(expected: Sequence[JournalRow], found: Sequence[JournalRow]) -> None:
    rows: dict[int, list[JournalRow]] = {}
    for row in found:
        rows.setdefault(row.seq, []).append(row)
    for record in expected:
        if record.seq not in rows:
            raise Altered(record.seq, "gap", "QuestDB has no row of it")
        row, *others = rows[record.seq]
        if others:
            raise Altered(record.seq, "fork", f"QuestDB has {1 + len(others)} rows of it")
        if (row.record, row.hash) != (record.record, record.hash):
            raise Altered(record.seq, "hash", "QuestDB has another record")
        if row != record:
            raise Altered(record.seq, "projection", f"QuestDB says {row[:6]}, the record {record[:6]}")
