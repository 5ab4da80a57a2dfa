# SPDX-License-Identifier: Apache-2.0
"""A small station around a journal: a bus in memory, a clock that stands still, a database in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from station import codec
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Bus, Entry
from station.domain.market import Bar
from station.domain.operation import Health
from station.errors import Unavailable
from station.events import Event, HealthEvent, MarketEvent
from station.journal import record as records
from station.journal.checkpoint import Signer
from station.journal.checkpoint_log import newest
from station.journal.follower import Follower
from station.journal.opening import Author, Opened, open_journal
from station.journal.recorder import Limits, Recorder
from station.journal.rows import BarRow, JournalRow
from station.journal.segments import Line, Reader, segments
from station.journal.store import Extent
from station.journal.stored import Stored
from station.journal.writer import SEGMENT_BYTES

SIGNER = Signer("station.example/journal", bytes(range(32)))
STRANGER = Signer("station.example/journal", bytes(32))
CHAIN_ID = bytes(range(16))
START = 1_763_715_600_000_000  # 2025-11-21 09:00 UTC
RUN = START // 1000
STREAM = "md:replay"


class StillClock:
    """A clock that goes on only when told, or when somebody sleeps."""

    def __init__(self) -> None:
        self.time = START
        self.elapsed_ns = 1_000_000_000_000

    def now(self) -> int:
        return self.time

    def monotonic_ns(self) -> int:
        return self.elapsed_ns

    def sleep(self, seconds: float) -> None:
        self.time += int(seconds * 1_000_000)
        self.elapsed_ns += int(seconds * 1_000_000_000)


class MemoryStore:
    """The tables of QuestDB, with its DEDUP: a row of the same key takes the place of the former in silence."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], JournalRow] = {}
        self.bar_rows: dict[tuple[int, str, str, int], BarRow] = {}
        self.away = False
        self.suspended = False

    def prepare(self) -> None:
        self._answer()

    def watermark(self) -> int:
        self.check()
        present = {row.seq for row in self.rows.values()}
        return next(number for number in range(len(present) + 1) if number + 1 not in present)

    def check(self) -> None:
        self._answer()
        if self.suspended:
            raise Unavailable("journal is suspended")

    def write(self, journal: Sequence[JournalRow], bars: Sequence[BarRow]) -> None:
        self._answer()
        self.bar_rows |= {row.key: row for row in bars}
        self.rows |= {(row.ts, row.seq): row for row in journal}

    def extent(self) -> Extent:
        self.check()
        sequences = [row.seq for row in self.rows.values()]
        bars = [row.seq for row in self.bar_rows.values()]
        return Extent(
            rows=len(sequences),
            last=max(sequences, default=0),
            last_bar=max(bars, default=0),
            strays=sum(sequence < 1 for sequence in sequences + bars),
        )

    def journal(self, first: int, last: int) -> list[JournalRow]:
        self._answer()
        return sorted((row for row in self.rows.values() if first <= row.seq <= last), key=lambda row: row.seq)

    def bars(self, first: int, last: int) -> list[BarRow]:
        self._answer()
        return [row for row in self.bar_rows.values() if first <= row.seq <= last]

    def bars_at(self, times: Sequence[int]) -> list[BarRow]:
        self._answer()
        return [row for row in self.bar_rows.values() if row.ts in times]

    def row(self, sequence: int) -> JournalRow:
        return next(row for row in self.rows.values() if row.seq == sequence)

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("the database is away")


class Station:
    """Producers, the recorder and the database; `restart` is what a new process would do.

    Attributes:
        alarms: what the bus told a person.
    """

    def __init__(
        self,
        folder: Path,
        limit: int = SEGMENT_BYTES,
        limits: Limits | None = None,
        store: Any = None,
        connect: Callable[[str], Bus] | None = None,
    ) -> None:
        self.folder, self.limit = folder, limit
        self.limits = limits or Limits(batch=100)
        self.clock, self.streams = StillClock(), Streams()
        self.store: Any = store or MemoryStore()
        self.alarms: list[object] = []
        self.connect = connect or self._to_memory
        self.producer = self.connect("agents")
        self.restart()

    def restart(self) -> None:
        """Begin a new recorder on what the one before left."""
        self.stored = Stored()
        self.bus = self.connect("journal")
        self.opened = open(self.folder, self.limit)
        self.recorder = Recorder(self.bus, self.clock, self.opened, self.stored, self.limits)
        self.recorder.begin()
        self.follower = Follower(self.folder, self.store, self.clock, lambda: self.recorder.sequence, self.stored)

    def crash(self) -> None:
        """Let go of everything as the kernel does when a process dies: nothing is written any more."""
        self.opened.close()
        self.follower.close()

    def publish(self, *events: Event, stream: str = STREAM) -> None:
        self.producer.publish([Entry(stream, event.entry_id, codec.encode(event)) for event in events])

    def publish_bytes(self, entry_id: str, data: bytes, stream: str = STREAM) -> None:
        self.producer.publish([Entry(stream, entry_id, data)])

    def turn(self) -> None:
        """Let recorder and follower do what there is, and a second go by."""
        self.clock.sleep(1)
        while self.recorder.step():
            pass
        while self.follower.step():
            pass
        self.recorder.step()

    def pending(self, stream: str = STREAM) -> int:
        return next(state.pending for state in self.bus.groups(stream) if state.group == "journal")

    def notes(self, kind: str) -> list[dict[str, str]]:
        """Return the details of the recorder's notes of a kind."""
        found = [records.note_of(records.parse(line[2])) for line in lines(self.folder)]
        return [note.detail for note in found if note is not None and note.note == kind]

    def recorded(self, stream: str = STREAM) -> list[str]:
        """Return the entry ids that the journal has of a stream, in its order."""
        parsed = [records.parse(line[2]) for line in lines(self.folder)]
        return [record.entry for record in parsed if record.stream == stream]

    def _to_memory(self, _: str) -> Bus:
        return MemoryBus(self.streams, self.clock, raise_alarm=self.alarms.append)


def open(folder: Path, limit: int = SEGMENT_BYTES, signer: Signer = SIGNER) -> Opened:  # noqa: A001 - kit.open
    return open_journal(folder, Author(signer, {"host": "station"}, make_chain_id=lambda: CHAIN_ID), limit)


def signed(folder: Path) -> int:
    """Return what the newest checkpoint says."""
    checkpoint = newest(folder, [SIGNER.verifier])
    return checkpoint.head.sequence if checkpoint else 0


def lines(folder: Path) -> list[Line]:
    """Return the lines of a journal, each checked against the chain."""
    reader = Reader.at_beginning(folder)
    try:
        return [line for block in reader.blocks() for line in block]
    finally:
        reader.close()


def text_lines(folder: Path) -> list[bytes]:
    """Return the lines of a journal as they are in its files."""
    return [line for path in segments(folder) for line in path.read_bytes().splitlines(keepends=True)]


def bar(sequence: int, run: int = RUN, producer: str = "replay", close: str = "1.0716") -> MarketEvent:
    """Return an hourly bar; the sequence decides its hour."""
    return MarketEvent(
        agent_id=producer,
        run=run,
        sequence=sequence,
        timestamp=START + sequence * 3_600_000_000,
        available=START + sequence * 3_600_000_000,
        payload=Bar(
            symbol="EURUSD",
            interval=3_600_000_000,
            open=Decimal("1.0716"),
            high=Decimal("1.0722"),
            low=Decimal("1.07083"),
            close=Decimal(close),
            volume=Decimal("1413"),
            source="replay",
        ),
    )


def bars(first: int, last: int, run: int = RUN) -> list[MarketEvent]:
    return [bar(sequence, run) for sequence in range(first, last + 1)]


def started(
    run: int = RUN, previous: tuple[int, int] = (0, 0), producer: str = "replay", power_lost: bool | None = None
) -> HealthEvent:
    """Return the first event of a run."""
    return HealthEvent(
        agent_id=producer,
        run=run,
        sequence=1,
        timestamp=START,
        available=START,
        payload=Health(state="started", previous_run=previous[0], previous_sequence=previous[1], power_lost=power_lost),
    )
