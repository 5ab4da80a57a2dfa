# SPDX-License-Identifier: Apache-2.0
"""The recorder: takes every event from the bus once, says what is missing, and acknowledges what is stored.

An entry is on the disk before anything else is done with it, and acknowledged only when QuestDB has it too. Whatever
happens in between, the entry comes again and is known by its id.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from station import codec
from station.bus import ids
from station.bus.port import Bus, Entry
from station.clock import Clock
from station.domain.operation import JournalNote
from station.events import JournalEvent
from station.journal import record as records
from station.journal.heads import Unacknowledged, gaps, previous_of
from station.journal.opening import Opened
from station.journal.record import OWN_STREAM
from station.journal.stored import Stored

GROUP = "journal"
CONSUMER = "recorder"
# `<family>:<producer>`. Dead letters were recorded where they came from, and whatever else is there has no producer.
STREAM = re.compile(r"(md|strat|exec|tourn):[^:]+")
_SECOND_NS = 1_000_000_000
_LOOK_NS = _SECOND_NS  # between looks for new streams
_TRIM_NS = 10 * _SECOND_NS


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once.

    Attributes:
        batch: entries a stream.
        keep: entries that stay in each stream, however long they are stored.
    """

    batch: int = 1000
    keep: int = 10_000


DEFAULT = Limits()


@dataclass(slots=True)
class Counts:
    """What was done since the start."""

    recorded: int = 0
    repeated: int = 0
    gaps: int = 0
    missing: int = 0  # events in those gaps
    conflicts: int = 0
    acknowledged: int = 0
    trimmed: int = 0


@dataclass(slots=True)
class _Batch:
    """What a batch comes to: records, and entries to be moved to the dead letters once those are on the disk."""

    records: list[bytes] = field(default_factory=list)
    misfits: list[tuple[Entry, str]] = field(default_factory=list)


class Recorder:
    """Writes a journal that was opened. For one thread.

    Attributes:
        counts: what was done since the start.
    """

    def __init__(self, bus: Bus, clock: Clock, opened: Opened, stored: Stored, limits: Limits = DEFAULT) -> None:
        """Set it up without any I/O.

        Args:
            bus: a connection of its own.
            clock: stamps the records.
            opened: the journal.
            stored: what the follower says.
            limits: how much at once.
        """
        self.counts = Counts()
        self._bus, self._clock, self._opened = bus, clock, opened
        self._stored, self._limits = stored, limits
        self._heads = opened.heads
        # Greater than the run before, whatever the clock says.
        self._own = (max(clock.now() // 1000, self._heads[OWN_STREAM][0] + 1), 0)
        self._unwritten = _Batch()
        self._misfits: list[tuple[Entry, str]] = []
        self._unacknowledged = Unacknowledged()
        self._owed: list[Entry] = []
        self._busy = False  # there is more to acknowledge
        self._streams: list[str] = []
        self._looked_ns = self._trimmed_ns = clock.monotonic_ns() - _TRIM_NS

    @property
    def sequence(self) -> int:
        """Return the newest record that is on the disk for good."""
        return self._opened.writer.head.sequence

    def begin(self) -> None:
        """Write down that the journal begins, or goes on.

        Raises:
            Unavailable: the disk does not take it now; call again.
        """
        if self._opened.notes:
            batch = self._new_batch()
            batch.records += [self._note(note) for note in self._opened.notes]
            self._opened.notes.clear()
            self._unwritten = batch
        self._write()
        self._sign()

    def step(self, wait_ms: int = 0) -> int:
        """Record what there is, one batch at most, and return how many entries came.

        Args:
            wait_ms: how long to wait for the first entry.

        Raises:
            Unavailable: bus or disk do not answer now; nothing is lost, call again.
        """
        self._write()
        self._look()
        entries = self._consume(0 if self._busy else wait_ms)
        self._unwritten = self._plan(entries)
        self._write()
        self._settle()
        self._sign()
        self._trim()
        return len(entries)

    def finish(self) -> None:
        """Write and sign what is left, before the journal is closed.

        Raises:
            Unavailable: bus or disk do not answer.
        """
        self._write()
        if self.sequence > self._opened.checkpoints.signed:
            self._opened.checkpoints.add(self._opened.writer.head, self._clock.monotonic_ns())
        self._settle()

    def _look(self) -> None:
        now = self._clock.monotonic_ns()
        if now - self._looked_ns >= _LOOK_NS:
            self._streams = [name for name in self._bus.streams() if STREAM.fullmatch(name)]
            self._looked_ns = now

    def _consume(self, wait_ms: int) -> list[Entry]:
        if self._streams:
            return self._bus.consume(self._streams, GROUP, CONSUMER, self._limits.batch, wait_ms)
        self._clock.sleep(wait_ms / 1000)
        return []

    def _new_batch(self) -> _Batch:
        batch = _Batch()
        writer = self._opened.writer
        if writer.full and writer.head.sequence:
            batch.records.append(self._note(self._segment_note()))
        return batch

    def _segment_note(self) -> JournalNote:
        writer = self._opened.writer
        joined = {"chain": writer.chain_id.hex(), "previous": writer.head.hash.hex()}
        return JournalNote(note="segment", detail={**joined, **self._heads.detail()})

    def _plan(self, entries: Sequence[Entry]) -> _Batch:
        """Return the records of entries, and take them as recorded: a batch is kept until it is written."""
        if not entries:
            return _Batch()
        batch = self._new_batch()
        now, tails = self._clock.now(), dict[str, bytes]()
        for entry in entries:
            entry_id = ids.parse(entry.entry_id)
            verdict = self._heads.judge(entry.stream, entry_id, entry.data)
            if verdict == "new":
                if entry.stream not in tails:
                    tails[entry.stream] = records.tail(now, entry.stream)
                self._admit(batch, entry, entry_id, tails[entry.stream])
                continue
            self.counts.repeated += 1
            self._unacknowledged.add(entry.stream, entry_id)
            if verdict == "contradicted":
                batch.records.append(self._conflict(entry, "recorded before with other bytes"))
        return batch

    def _admit(self, batch: _Batch, entry: Entry, entry_id: ids.EntryId, tail: bytes) -> None:
        head = self._heads[entry.stream]
        # Mostly it is the next of its run, and then nothing can be missing.
        if entry_id != ids.behind(head) or entry_id[1] == 1:
            for gap in gaps(entry.stream, head, entry_id, previous_of(entry_id, entry.data)):
                self.counts.gaps += 1
                self.counts.missing += gap.count
                batch.records.append(self._note(JournalNote(note="gap", detail=gap.detail())))
        reason = records.problem(entry.entry_id, entry.data)
        if reason:
            batch.records.append(self._conflict(entry, reason))
            batch.misfits.append((entry, reason))
            self._heads.reach(entry.stream, entry_id)
            return
        batch.records.append(records.compose(entry.entry_id, entry.data, tail))
        self._heads.add(entry.stream, entry_id, entry.data)
        self._unacknowledged.add(entry.stream, entry_id)
        self.counts.recorded += 1

    def _conflict(self, entry: Entry, reason: str) -> bytes:
        self.counts.conflicts += 1
        detail = {
            "stream": entry.stream,
            "entry": entry.entry_id,
            "reason": reason,
            "bytes": base64.b64encode(entry.data[: records.LONGEST_EVENT]).decode(),
        }
        return self._note(JournalNote(note="conflict", detail=detail))

    def _note(self, note: JournalNote) -> bytes:
        self._own = ids.behind(self._own)
        now = self._clock.now()
        event = codec.encode(
            JournalEvent(
                agent_id=OWN_STREAM,
                run=self._own[0],
                sequence=self._own[1],
                timestamp=now,
                available=now,
                payload=note,
            )
        )
        self._heads.add(OWN_STREAM, self._own, event)
        return records.compose(ids.spell(self._own), event, records.tail(now, OWN_STREAM))

    def _write(self) -> None:
        if self._unwritten.records:
            self._opened.writer.append(self._unwritten.records)
        self._misfits += self._unwritten.misfits
        self._unwritten = _Batch()

    def _settle(self) -> None:
        """Tell the bus what need not come again."""
        self._busy = False
        while self._misfits:
            self._bus.dead_letter(GROUP, *self._misfits[0])
            del self._misfits[0]
        if not self._owed:
            # More than a batch brings, so that what a long absence of the database left becomes less.
            count = 10 * self._limits.batch
            for stream, head in self._stored.heads.items():
                taken = self._unacknowledged.take(stream, head, count)
                self._owed += [Entry(stream, entry_id, b"") for entry_id in taken]
                self._busy = self._busy or len(taken) == count
        if self._owed:
            self._bus.acknowledge(GROUP, self._owed)
            self.counts.acknowledged += len(self._owed)
            self._owed = []

    def _sign(self) -> None:
        head, now = self._opened.writer.head, self._clock.monotonic_ns()
        if self._opened.checkpoints.due(head, now):
            self._opened.checkpoints.add(head, now)

    def _trim(self) -> None:
        now = self._clock.monotonic_ns()
        if now - self._trimmed_ns < _TRIM_NS:
            return
        self._trimmed_ns = now
        for stream in self._streams:
            run, sequence = self._stored.heads.get(stream, ids.NONE)
            # A run that is still short leaves what is left of the one before it alone.
            if sequence > self._limits.keep:
                self.counts.trimmed += self._bus.trim(stream, ids.spell((run, sequence - self._limits.keep + 1)))
