# SPDX-License-Identifier: Apache-2.0
"""Brings the segments into QuestDB. Restart, backfill and replay are this one path: from the watermark to the end."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from station.bus import ids
from station.clock import Clock
from station.errors import StationError, Unavailable
from station.journal.heads import Heads
from station.journal.rows import rows_of
from station.journal.segments import Reader, segment_with
from station.journal.store import Store
from station.journal.stored import Stored
from station.retry import Uniform, waits

# About 5,000 records; less than that waits a second for more.
BATCH_BYTES = 2 << 20
_FEW_BYTES = BATCH_BYTES // 2
_PAUSE_SECONDS = 1.0
_CHECK_NS = 5_000_000_000
_LONGEST_BACK_OFF = 5.0


class Follower:
    """Writes what is safe in the segments to a store, from a thread of its own."""

    def __init__(
        self, folder: Path, store: Store, clock: Clock, durable: Callable[[], int], stored: Stored | None = None
    ) -> None:
        """Set it up without any I/O.

        Args:
            folder: of the journal.
            store: where the rows go.
            clock: tells when to look after the store.
            durable: returns the sequence up to which the segments are on the disk for good.
            stored: is kept up to date.
        """
        self.stored = stored or Stored()
        self._folder, self._store, self._clock, self._durable = folder, store, clock, durable
        self._reader: Reader | None = None
        self._heads = Heads(remembered=0)
        self._checked_ns = 0

    def run(self, stop: threading.Event, draw: Uniform = random.uniform) -> None:
        """Follow the journal until told to stop; a store that is away is tried again and again.

        Raises:
            StationError: a person has to look.
        """
        back_off = waits(cap=_LONGEST_BACK_OFF, uniform=draw)
        while not stop.is_set():
            try:
                pause = 0.0 if self.step() > _FEW_BYTES else _PAUSE_SECONDS
                back_off = waits(cap=_LONGEST_BACK_OFF, uniform=draw)
            except Unavailable:
                pause = next(back_off)
            stop.wait(pause)
        self.close()

    def step(self) -> int:
        """Store what there is, one batch at most, and return its bytes.

        Raises:
            Unavailable: the store does not take it now.
            StationError: it holds more than the segments, or the segments are altered.
        """
        if not self._durable():
            return 0
        try:
            reader = self._reader or self._connect()
            self._check()
            lines = reader.read(self._durable(), BATCH_BYTES)
            if lines:
                rows = rows_of(lines)
                self._store.write(rows.journal, rows.bars)
                self._report(lines[-1][0], rows.heads)
        except Unavailable as error:
            self.stored.trouble = str(error)
            self.close()
            raise
        self.stored.trouble = ""
        return sum(len(line[2]) for line in lines)

    def close(self) -> None:
        """Forget where it was; the next step asks the store."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _connect(self) -> Reader:
        self._store.prepare()
        watermark, durable = self._store.watermark(), self._durable()
        if watermark > durable:
            raise StationError(
                f"TRUNCATION: QuestDB holds record {watermark}, but {self._folder} ends with {durable}; bring the "
                "missing segments back, or keep both as evidence and begin a new journal elsewhere"
            )
        reader = Reader(segment_with(self._folder, max(watermark, 1)))
        self._heads.restore(reader.start.note.detail)
        while lines := reader.read(watermark):
            self._report(lines[-1][0], rows_of(lines).heads)
        self._report(watermark, {})
        self._reader = reader
        return reader

    def _check(self) -> None:
        now = self._clock.monotonic_ns()
        if now - self._checked_ns >= _CHECK_NS:
            self._store.check()
            self._checked_ns = now

    def _report(self, sequence: int, heads: Mapping[str, str]) -> None:
        for stream, entry_id in heads.items():
            self._heads.reach(stream, ids.parse(entry_id))
        self.stored.sequence, self.stored.heads = sequence, self._heads.copy()


def replay(folder: Path, store: Store) -> int:
    """Bring a whole journal into a store and return the number of records; what is there already is written again.

    Raises:
        Altered: the segments are not what was written.
        Unavailable: the store does not answer.
    """
    store.prepare()
    reader = Reader.at_beginning(folder)
    try:
        while lines := reader.read(size=BATCH_BYTES):
            rows = rows_of(lines)
            store.write(rows.journal, rows.bars)
        return reader.head.sequence
    finally:
        reader.close()
