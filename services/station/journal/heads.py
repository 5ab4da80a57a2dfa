# SPDX-License-Identifier: Apache-2.0
"""How far each stream is recorded: what is a repetition, what contradicts, and what is missing before an entry."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from station import codec
from station.bus import ids
from station.bus.ids import EntryId
from station.errors import Poison
from station.events import HealthEvent
from station.journal.record import Record, note_of

# Entries, at least, whose bytes can still be compared with a repetition.
REMEMBERED = 50_000
_PREFIX = "head "

Verdict = Literal["new", "repeated", "contradicted"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a run that were published and never came.

    Without a last it reaches to the event that told of it, and nobody knows how many there were, or whether any.
    """

    stream: str
    run: int
    first: int
    last: int | None

    @property
    def count(self) -> int:
        """How many are known to be missing."""
        return 0 if self.last is None else self.last - self.first + 1

    def detail(self) -> dict[str, str]:
        """Return the gap as a note's detail."""
        last = {} if self.last is None else {"last": str(self.last)}
        return {"stream": self.stream, "run": str(self.run), "first": str(self.first), **last}


@dataclass(frozen=True, slots=True)
class Before:
    """What the first event of a run says of the run before.

    Attributes:
        last: how far it came by the producer's own state file, (0, 0) if the event does not say.
        power_lost: whether it may have come further.
    """

    last: EntryId = ids.NONE
    power_lost: bool = False


UNSAID = Before()


class Heads:
    """The newest recorded entry of each stream, and the bytes of the last ones."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._heads: dict[str, EntryId] = {}
        # Two halves, the older of which is given up as a whole.
        self._recent: dict[tuple[str, EntryId], int] = {}
        self._before: dict[tuple[str, EntryId], int] = {}
        self._remembered = remembered

    def __getitem__(self, stream: str) -> EntryId:
        """Return the newest entry of a stream, (0, 0) if none."""
        return self._heads.get(stream, ids.NONE)

    def add(self, stream: str, entry_id: EntryId, event: bytes) -> None:
        """Take note of a recorded entry."""
        self.reach(stream, entry_id)
        if not self._remembered:
            return
        # Python's hash has a key of its own in each process: nobody outside can make two events collide.
        self._recent[stream, entry_id] = hash(event)
        if len(self._recent) >= self._remembered:
            self._before, self._recent = self._recent, {}

    def reach(self, stream: str, entry_id: EntryId) -> None:
        """Take note that a stream is settled up to an entry."""
        if entry_id > self[stream]:
            self._heads[stream] = entry_id

    def follow(self, known: Record) -> None:
        """Take note of a record that is read."""
        self.add(known.stream, ids.parse(known.entry), bytes(known.event))
        note = note_of(known)
        if note is not None and note.note == "conflict":
            # The entry that did not fit is settled by the note.
            self.reach(note.detail.get("stream", ""), ids.parse(note.detail.get("entry", "0-0")))

    def judge(self, stream: str, entry_id: EntryId, event: bytes) -> Verdict:
        """Say what an entry is to the record. A repetition too old to be compared counts as one."""
        if entry_id > self[stream]:
            return "new"
        known = self._recent.get((stream, entry_id), self._before.get((stream, entry_id)))
        return "repeated" if known is None or known == hash(event) else "contradicted"

    def detail(self) -> dict[str, str]:
        """Return the heads as a note's detail."""
        return {_PREFIX + stream: ids.spell(head) for stream, head in sorted(self._heads.items())}

    def copy(self) -> dict[str, EntryId]:
        """Return the newest entry of each stream."""
        return dict(self._heads)

    def restore(self, detail: Mapping[str, str]) -> None:
        """Take the heads of a note's detail."""
        for key, head in detail.items():
            if key.startswith(_PREFIX):
                self.reach(key.removeprefix(_PREFIX), ids.parse(head))


def previous_of(entry_id: EntryId, event: bytes) -> Before:
    """Return what an event says of the run before."""
    if entry_id[1] != 1:
        return UNSAID
    try:
        known = codec.decode(event)
    except Poison:
        return UNSAID
    if not isinstance(known, HealthEvent) or known.payload.state != "started":
        return UNSAID
    told = known.payload
    return Before((told.previous_run, told.previous_sequence), bool(told.power_lost))


def gaps(stream: str, head: EntryId, entry_id: EntryId, previous: Before = UNSAID) -> list[Gap]:
    """Return what is missing between two entries of a stream.

    Args:
        stream: name of the stream.
        head: what is recorded.
        entry_id: what came next.
        previous: what `previous_of` says of it.
    """
    run, sequence = entry_id
    if run == head[0]:
        between = [Gap(stream, run, head[1] + 1, sequence - 1)]
    else:
        # What the runs between those two published, if there were any, nobody can say.
        last = previous.last
        known = head[1] if last[0] == head[0] else 0
        tail = [Gap(stream, last[0], known + 1, last[1])] if head < last < entry_id else []
        unsure = [Gap(stream, *ids.behind(max(head, last)), None)] if previous.power_lost else []
        between = [*tail, *unsure, Gap(stream, run, 1, sequence - 1)]
    return [gap for gap in between if gap.last is None or gap.count > 0]


class Unacknowledged:
    """Entries that were given to the recorder and not yet acknowledged, as ranges: sequences have hardly any holes."""

    def __init__(self) -> None:
        self._ranges: dict[str, list[list[int]]] = {}  # run, first, last; ascending

    def add(self, stream: str, entry_id: EntryId) -> None:
        """Take note of an entry; the second time changes nothing."""
        ranges = self._ranges.setdefault(stream, [])
        run, sequence = entry_id
        if ranges and ranges[-1][0] == run and ranges[-1][2] + 1 == sequence:
            ranges[-1][2] = sequence
        elif not ranges or [run, sequence] > [ranges[-1][0], ranges[-1][2]]:
            ranges.append([run, sequence, sequence])
        elif not any(known[0] == run and known[1] <= sequence <= known[2] for known in ranges):
            insort(ranges, [run, sequence, sequence])

    def take(self, stream: str, stored: EntryId, count: int) -> list[str]:
        """Return up to `count` entries of a stream that are not newer than one, and forget them."""
        ranges, taken = self._ranges.get(stream, []), list[str]()
        while ranges and len(taken) < count and (ranges[0][0], ranges[0][1]) <= stored:
            run, first, last = ranges[0]
            end = min(last, first + count - len(taken) - 1, stored[1] if run == stored[0] else last)
            taken += [f"{run}-{sequence}" for sequence in range(first, end + 1)]
            ranges[0][1] = end + 1
            if end == last:
                del ranges[0]
        return taken
