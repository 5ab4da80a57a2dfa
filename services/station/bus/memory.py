# SPDX-License-Identifier: Apache-2.0
"""The bus in the memory of one process: for tests, and for a backtest that runs the same agents.

`Streams` is what a server would hold; each `MemoryBus` is one connection to it.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from station.bus import alarms, ids, lag
from station.bus.alarms import Alarms
from station.bus.ids import NONE, EntryId
from station.bus.port import DEAD, DeadLetter, Entry, GroupState
from station.clock import Clock, SystemClock
from station.errors import Conflict


@dataclass(slots=True)
class Given:
    """An entry that a consumer has and has not acknowledged."""

    consumer: str
    since_ns: int
    deliveries: int


@dataclass(slots=True)
class Group:
    """How far a group has come in a stream."""

    delivered: EntryId = NONE
    read: int = 0  # entries up to `delivered`, removed ones included
    pending: dict[EntryId, Given] = field(default_factory=dict)


@dataclass(slots=True)
class Stream:
    """Entries in the order of their ids."""

    entry_ids: list[EntryId] = field(default_factory=list)
    data: dict[EntryId, bytes] = field(default_factory=dict)
    head: EntryId = NONE
    added: int = 0
    groups: dict[str, Group] = field(default_factory=dict)

    def add(self, entry_id: EntryId, data: bytes) -> None:
        """Append an entry."""
        self.entry_ids.append(entry_id)
        self.data[entry_id] = data
        self.head = entry_id
        self.added += 1

    def remove(self, before: EntryId) -> int:
        """Remove entries older than an id, whoever needs them, and return how many."""
        number = bisect_left(self.entry_ids, before)
        for entry_id in self.entry_ids[:number]:
            del self.data[entry_id]
        del self.entry_ids[:number]
        return number


@dataclass(slots=True)
class Streams:
    """What all connections share."""

    by_name: dict[str, Stream] = field(default_factory=dict)
    letters: dict[str, list[DeadLetter]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def get(self, name: str) -> Stream:
        """Return a stream, empty if nobody has written to it."""
        return self.by_name.setdefault(name, Stream())


class MemoryBus:
    """One connection to streams in memory."""

    def __init__(
        self,
        streams: Streams | None = None,
        clock: Clock | None = None,
        left_lying_ms: int = 60_000,
        raise_alarm: Alarms = alarms.log,
    ) -> None:
        """Connect.

        Args:
            streams: what is shared with other connections.
            clock: tells since when an entry lies.
            left_lying_ms: how long an entry is given and not acknowledged before another consumer takes it.
            raise_alarm: is told of lost groups and lost entries.
        """
        self._shared = streams if streams is not None else Streams()
        self._clock = clock or SystemClock()
        self._left_lying_ns = left_lying_ms * 1_000_000
        self._raise_alarm = raise_alarm
        self._known: set[tuple[str, str]] = set()  # (stream, group)
        # (stream, group, consumer) -> up to which own pending entries were read; None: all
        self._own_after: dict[tuple[str, str, str], EntryId | None] = {}
        self._look_again_ns: dict[tuple[str, str, str], int] = {}

    def publish(self, entries: Sequence[Entry], acknowledge: Sequence[Entry] = (), group: str = "") -> None:
        """Add entries and acknowledge what they answer, all or nothing."""
        with self._shared.changed:
            missing = [entry for entry in entries if not self._is_there(entry)]
            for entry in missing:
                self._shared.get(entry.stream).add(ids.parse(entry.entry_id), entry.data)
            self._forget(group, acknowledge)
            self._shared.changed.notify_all()

    def consume(self, streams: Sequence[str], group: str, consumer: str, count: int, wait_ms: int = 0) -> list[Entry]:
        """Return what this consumer has not acknowledged, then what others left lying, then what is new."""
        with self._shared.changed:
            found = self._look(streams, group, consumer, count)
            if not found and wait_ms > 0:
                self._shared.changed.wait(wait_ms / 1000)
                found = self._look(streams, group, consumer, count)
            return found

    def acknowledge(self, group: str, entries: Sequence[Entry]) -> None:
        """Say that entries need not be delivered to the group again."""
        with self._shared.changed:
            self._forget(group, entries)

    def dead_letter(self, group: str, entry: Entry, reason: str) -> None:
        """Move an entry to `dead:<group>`, unless it is no longer pending."""
        with self._shared.changed:
            holder = self._shared.get(entry.stream).groups.get(group, Group())
            if ids.parse(entry.entry_id) not in holder.pending:
                return
            letters = self._shared.get(f"{DEAD}{group}")
            letter_id = max((self._clock.now() // 1000, 0), ids.behind(letters.head))
            letters.add(letter_id, entry.data)
            letter = DeadLetter(ids.spell(letter_id), replace(entry, deliveries=1), DeadLetter.spell(reason))
            self._shared.letters.setdefault(group, []).append(letter)
            self._forget(group, [entry])
            self._shared.changed.notify_all()

    def dead_letters(self, group: str, after: str = "0-0", count: int = 100) -> list[DeadLetter]:
        """Return what a group could not handle, behind the id of a letter."""
        with self._shared.changed:
            letters = self._shared.letters.get(group, [])
            return [letter for letter in letters if ids.parse(letter.letter_id) > ids.parse(after)][:count]

    def read(self, stream: str, after: str, count: int) -> list[Entry]:
        """Return entries behind an id without any group."""
        with self._shared.changed:
            held = self._shared.by_name.get(stream, Stream())
            first = bisect_right(held.entry_ids, ids.parse(after))
            return _entries(stream, held, held.entry_ids[first : first + count])

    def head(self, stream: str) -> str:
        """Return the id of the newest entry that was ever added to a stream, "0-0" if none."""
        with self._shared.changed:
            return ids.spell(self._shared.by_name.get(stream, Stream()).head)

    def streams(self) -> list[str]:
        """Return the names of all streams."""
        with self._shared.changed:
            return sorted(self._shared.by_name)

    def groups(self, stream: str) -> list[GroupState]:
        """Return how far each group of a stream has come."""
        with self._shared.changed:
            held = self._shared.by_name.get(stream, Stream())
            return [_state(stream, name, held, group) for name, group in held.groups.items()]

    def trim(self, stream: str, before: str) -> int:
        """Remove entries older than an id and return how many; never one that a group has not acknowledged."""
        with self._shared.changed:
            states = self.groups(stream)
            if not states:
                return 0
            return self._shared.get(stream).remove(min(ids.parse(before), *map(lag.oldest_needed, states)))

    def close(self) -> None:
        """End the connection: the next use is a new one."""
        self._own_after.clear()

    def _is_there(self, entry: Entry) -> bool:
        held = self._shared.get(entry.stream)
        entry_id = ids.parse(entry.entry_id)
        if entry_id > held.head:
            return False
        if held.data.get(entry_id) != entry.data:
            raise Conflict(f"{entry.stream} is at {ids.spell(held.head)}: its {entry.entry_id} is not the same")
        return True

    def _forget(self, group: str, entries: Iterable[Entry]) -> None:
        for entry in entries:
            holder = self._shared.get(entry.stream).groups.get(group, Group())
            holder.pending.pop(ids.parse(entry.entry_id), None)

    def _see_to_groups(self, streams: Sequence[str], group: str, consumer: str) -> None:
        for stream in streams:
            groups = self._shared.get(stream).groups
            if group not in groups:
                groups[group] = Group()
                if (stream, group) in self._known:
                    self._raise_alarm(alarms.lost_group(stream, group))
            self._known.add((stream, group))
            self._own_after.setdefault((stream, group, consumer), NONE)

    def _look(self, streams: Sequence[str], group: str, consumer: str, count: int) -> list[Entry]:
        self._see_to_groups(streams, group, consumer)
        for part in (self._own, self._left_lying, self._new):
            if found := [entry for stream in streams for entry in part(stream, group, consumer, count)]:
                return found
        return []

    def _own(self, stream: str, group: str, consumer: str, count: int) -> list[Entry]:
        after = self._own_after.get((stream, group, consumer))
        if after is None:
            return []
        holder = self._shared.get(stream).groups[group]
        mine = sorted(
            entry_id for entry_id, given in holder.pending.items() if given.consumer == consumer and entry_id > after
        )[:count]
        if len(mine) < count:
            self._own_after[stream, group, consumer] = None
        else:
            self._own_after[stream, group, consumer] = mine[-1]
        return self._give(stream, group, consumer, mine)

    def _left_lying(self, stream: str, group: str, consumer: str, count: int) -> list[Entry]:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._look_again_ns.get((stream, group, consumer), 0):
            return []
        since_ns = now_ns - self._left_lying_ns
        pending = self._shared.get(stream).groups[group].pending
        left = sorted(
            entry_id for entry_id, given in pending.items() if given.consumer != consumer and given.since_ns <= since_ns
        )
        if not left:
            self._look_again_ns[stream, group, consumer] = now_ns + self._left_lying_ns // 2
        return self._give(stream, group, consumer, left[:count])

    def _new(self, stream: str, group: str, consumer: str, count: int) -> list[Entry]:
        held = self._shared.get(stream)
        holder = held.groups[group]
        first = bisect_right(held.entry_ids, holder.delivered)
        new = held.entry_ids[first : first + count]
        if new:
            holder.delivered = new[-1]
            holder.read = held.added - len(held.entry_ids) + first + len(new)
        return self._give(stream, group, consumer, new)

    def _give(self, stream: str, group: str, consumer: str, entry_ids: Sequence[EntryId]) -> list[Entry]:
        held = self._shared.get(stream)
        pending = held.groups[group].pending
        lost = [entry_id for entry_id in entry_ids if entry_id not in held.data]
        if lost:
            for entry_id in lost:
                del pending[entry_id]
            self._raise_alarm(alarms.lost_entries(stream, group, [ids.spell(entry_id) for entry_id in lost]))
        now_ns = self._clock.monotonic_ns()
        given = []
        for entry in _entries(stream, held, [entry_id for entry_id in entry_ids if entry_id in held.data]):
            entry_id = ids.parse(entry.entry_id)
            deliveries = pending[entry_id].deliveries + 1 if entry_id in pending else 1
            pending[entry_id] = Given(consumer, now_ns, deliveries)
            given.append(replace(entry, deliveries=deliveries))
        return given


def _entries(stream: str, held: Stream, entry_ids: Iterable[EntryId]) -> list[Entry]:
    return [Entry(stream, ids.spell(entry_id), held.data[entry_id]) for entry_id in entry_ids]


def _state(stream: str, name: str, held: Stream, group: Group) -> GroupState:
    return GroupState(
        stream=stream,
        group=name,
        length=len(held.entry_ids),
        head=ids.spell(held.head),
        delivered=ids.spell(group.delivered),
        pending=len(group.pending),
        oldest_pending=ids.spell(min(group.pending)) if group.pending else "",
        # Entries that were removed before the group began are none of its lag, as with Redis.
        lag=held.added - group.read if group.read else len(held.entry_ids),
    )
