# SPDX-License-Identifier: Apache-2.0
"""The bus over Redis Streams.

Publishing is one round trip. One entry that answers nothing is an XADD with an explicit id, which the server refuses if
it has that id or a later one. Everything else is MULTI, XADDs, XACK, EXEC, and the streams are watched from one
publication to the next, so that a transaction that a stopped server finds in its buffer later, or that a second writer
got ahead of, does nothing at all instead of half. After a broken connection the ids in the stream say what was done.

With `appendfsync everysec` Redis confirms before it writes, for up to two seconds while an fsync takes that long, and a
crash loses what it held back. So a connection keeps what it published last, and publishes it again if it is not there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from station.bus import alarms, ids, lag
from station.bus.alarms import Alarms
from station.bus.ids import EntryId
from station.bus.port import DEAD, DeadLetter, Entry, GroupState
from station.bus.redis_group import Consumer, Terms
from station.bus.redis_reply import entries_of, pairs, text
from station.bus.wire import Server, Wire, Word, require
from station.clock import Clock, SystemClock
from station.errors import Conflict, Unavailable

_TRIES = 10  # of a transaction whose streams somebody else changes: a trim now and then, a second writer never
_HELD_BACK_NS = 3_000_000_000  # Redis forces the write after two seconds
_NOT_GREATER = "equal or smaller"  # XADD's answer to an id that is not new


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was published, and acknowledged with it."""

    at_ns: int
    entries: Sequence[Entry]
    acknowledge: Sequence[Entry]
    group: str


class RedisBus:
    """A connection to Redis; opened by its first use, and again by the next use after it broke."""

    def __init__(
        self,
        server: Server,
        clock: Clock | None = None,
        left_lying_ms: int = 60_000,
        raise_alarm: Alarms = alarms.log,
    ) -> None:
        """Set it up without any I/O.

        Args:
            server: where Redis is.
            clock: tells when to look again for entries that others left lying.
            left_lying_ms: how long an entry is given and not acknowledged before another consumer takes it; more than
                twice what handling a batch takes.
            raise_alarm: is told of lost groups and lost entries.
        """
        self._wire = Wire(server)
        self._terms = Terms(clock or SystemClock(), left_lying_ms, raise_alarm)
        self._longest_wait_ms = int(server.timeout * 500)
        self._life = self._wire.life
        self._heads: dict[str, EntryId] = {}  # of the streams that this connection watches
        self._recent: deque[_Sent] = deque()
        self._consumers: dict[tuple[str, str], Consumer] = {}

    def publish(self, entries: Sequence[Entry], acknowledge: Sequence[Entry] = (), group: str = "") -> None:
        """Add entries and acknowledge what they answer, all or nothing."""
        if not entries:
            self.acknowledge(group, acknowledge)
            return
        self._come_back()
        self._add(entries, acknowledge, group)
        now_ns = self._terms.clock.monotonic_ns()
        self._recent.append(_Sent(now_ns, tuple(entries), tuple(acknowledge), group))
        while self._recent[0].at_ns < now_ns - _HELD_BACK_NS:
            self._recent.popleft()

    def consume(self, streams: Sequence[str], group: str, consumer: str, count: int, wait_ms: int = 0) -> list[Entry]:
        """Return what this consumer has not acknowledged, then what others left lying, then what is new."""
        reader = self._consumers.get((group, consumer))
        if reader is None:
            reader = Consumer(self._wire, self._terms, group, consumer)
            self._consumers[group, consumer] = reader
        self._come_back()
        return reader.consume(streams, count, min(wait_ms, self._longest_wait_ms))

    def acknowledge(self, group: str, entries: Sequence[Entry]) -> None:
        """Say that entries need not be delivered to the group again."""
        if entries:
            require(self._wire.ask(*_xacks(group, entries)))

    def dead_letter(self, group: str, entry: Entry, reason: str) -> None:
        """Move an entry to `dead:<group>`, unless it is no longer pending: then it was moved, or handled, before."""
        letters = f"{DEAD}{group}"
        words = (entry.data, "reason", DeadLetter.spell(reason), "stream", entry.stream, "entry", entry.entry_id)
        commands = [("XADD", letters, "*", "e", *words), *_xacks(group, [entry])]
        for _ in range(_TRIES):
            self._heads.clear()
            pending = ("XPENDING", entry.stream, group, entry.entry_id, entry.entry_id, 1)
            _, found = self._wire.ask(("WATCH", letters), pending)
            if isinstance(found, ResponseError) and str(found).startswith("NOGROUP"):
                return
            if not require([found])[0] or self._transact(commands, []):
                return
        raise Unavailable(f"somebody else writes to {letters} all the time")

    def dead_letters(self, group: str, after: str = "0-0", count: int = 100) -> list[DeadLetter]:
        """Return what a group could not handle, behind the id of a letter."""
        found = require(self._wire.ask(("XRANGE", f"{DEAD}{group}", f"({after}", "+", "COUNT", count)))[0]
        return [_letter(text(letter_id), pairs(fields)) for letter_id, fields in found]

    def read(self, stream: str, after: str, count: int) -> list[Entry]:
        """Return entries behind an id without any group."""
        return entries_of(stream, require(self._wire.ask(("XRANGE", stream, f"({after}", "+", "COUNT", count)))[0])

    def head(self, stream: str) -> str:
        """Return the id of the newest entry that was ever added to a stream, "0-0" if none."""
        return text(_about(self._wire.ask(("XINFO", "STREAM", stream))[0])[b"last-generated-id"])

    def streams(self) -> list[str]:
        """Return the names of all streams."""
        names: set[str] = set()
        cursor: Word = 0
        while True:
            cursor, found = require(self._wire.ask(("SCAN", cursor, "COUNT", 1000, "TYPE", "stream")))[0]
            names.update(map(text, found))
            if int(cursor) == 0:
                return sorted(names)

    def groups(self, stream: str) -> list[GroupState]:
        """Return how far each group of a stream has come."""
        about, listed = self._wire.ask(("XINFO", "STREAM", stream), ("XINFO", "GROUPS", stream))
        about = _about(about)
        if not about[b"length"] and isinstance(listed, ResponseError):
            return []
        rows = [pairs(row) for row in require([listed])[0]]
        oldest = require(self._wire.ask(*(("XPENDING", stream, row[b"name"]) for row in rows))) if rows else []
        return [
            GroupState(
                stream=stream,
                group=text(row[b"name"]),
                length=about[b"length"],
                head=text(about[b"last-generated-id"]),
                delivered=text(row[b"last-delivered-id"]),
                pending=pending,
                oldest_pending=text(first) if first else "",
                lag=row[b"lag"],
            )
            for row, (pending, first, *_) in zip(rows, oldest, strict=True)
        ]

    def trim(self, stream: str, before: str) -> int:
        """Remove entries older than an id and return how many; never one that a group has not acknowledged."""
        states = self.groups(stream)
        if not states:
            return 0
        safe = min(ids.parse(before), *map(lag.oldest_needed, states))
        return int(require(self._wire.ask(("XTRIM", stream, "MINID", "=", ids.spell(safe))))[0])

    def close(self) -> None:
        """End the connection."""
        self._wire.close()

    def _come_back(self) -> None:
        """After the connection broke, see to it that what was published before is still there."""
        life = self._wire.life
        if life == self._life:
            return
        self._heads = {}
        streams = {entry.stream for sent in self._recent for entry in sent.entries}
        heads = {stream: ids.parse(self.head(stream)) for stream in streams}
        lacking = [sent for sent in self._recent if any(_is_newer(heads, entry) for entry in sent.entries)]
        for sent in lacking:
            self._add(sent.entries, sent.acknowledge, sent.group)
        for stream in sorted({entry.stream for sent in lacking for entry in sent.entries}):
            self._terms.raise_alarm(alarms.rolled_back(stream, ids.spell(heads[stream])))
        self._life = life

    def _add(self, entries: Sequence[Entry], acknowledge: Sequence[Entry], group: str) -> None:
        streams = list(dict.fromkeys(entry.stream for entry in entries))
        if len(entries) == 1 and not acknowledge and streams[0] not in self._heads and self._add_one(entries[0]):
            return
        for _ in range(_TRIES):
            missing = self._missing(entries, self._watched(streams))
            commands = [_xadd(entry) for entry in missing] + _xacks(group, acknowledge)
            if not commands or self._transact(commands, streams):
                self._heads |= {entry.stream: ids.parse(entry.entry_id) for entry in missing}
                return
        raise Unavailable(f"somebody else writes to {', '.join(streams)} all the time")

    def _add_one(self, entry: Entry) -> bool:
        """Add an entry without a transaction, which costs both sides half; False if its id is not new to the stream."""
        (answer,) = self._wire.ask(_xadd(entry))
        if isinstance(answer, ResponseError) and _NOT_GREATER in str(answer):
            return False
        require([answer])
        return True

    def _watched(self, streams: Sequence[str]) -> Mapping[str, EntryId]:
        """Return the newest id of each stream; the server refuses a transaction if one has changed since."""
        if not all(stream in self._heads for stream in streams):
            looks = [("XINFO", "STREAM", stream) for stream in streams]
            _, *found = self._wire.ask(("WATCH", *streams), *looks)
            heads = [ids.parse(text(_about(about)[b"last-generated-id"])) for about in found]
            self._heads |= dict(zip(streams, heads, strict=True))
        return self._heads

    def _missing(self, entries: Sequence[Entry], heads: Mapping[str, EntryId]) -> list[Entry]:
        """Return the entries that are not in their streams.

        Raises:
            Conflict: an id is taken by something else, or passed over for good.
        """
        old = [entry for entry in entries if not _is_newer(heads, entry)]
        if not old:
            return list(entries)
        looks = [("XRANGE", entry.stream, entry.entry_id, entry.entry_id) for entry in old]
        for entry, found in zip(old, require(self._wire.ask(*looks)), strict=True):
            there = entries_of(entry.stream, found)
            if not there:
                newest = ids.spell(heads[entry.stream])
                raise Conflict(f"{entry.stream} is at {newest} and has no {entry.entry_id}: is there a second writer?")
            if there[0].data != entry.data:
                raise Conflict(f"{entry.stream} has another entry {entry.entry_id}: is there a second writer?")
        return [entry for entry in entries if _is_newer(heads, entry)]

    def _transact(self, commands: Sequence[Sequence[Word]], watch: Sequence[str]) -> bool:
        """Do all of the commands, or nothing if a watched stream has changed, and watch streams from then on."""
        again = [("WATCH", *watch)] if watch else []
        known, self._heads = self._heads, {}
        answers = self._wire.ask(("MULTI",), *commands, ("EXEC",), *again)
        done = require(answers[: len(commands) + 2])[-1]
        if done is None:
            return False
        for answer in done:
            if isinstance(answer, ResponseError) and _NOT_GREATER in str(answer):
                raise Conflict(f"{', '.join(watch)}: {answer}; is there a second writer?")
        require(done)
        self._heads = {stream: known[stream] for stream in watch}
        return True


def _is_newer(heads: Mapping[str, EntryId], entry: Entry) -> bool:
    return ids.parse(entry.entry_id) > heads[entry.stream]


def _xadd(entry: Entry) -> Sequence[Word]:
    return ("XADD", entry.stream, entry.entry_id, "e", entry.data)


def _xacks(group: str, entries: Sequence[Entry]) -> list[Sequence[Word]]:
    by_stream: dict[str, list[str]] = {}
    for entry in entries:
        by_stream.setdefault(entry.stream, []).append(entry.entry_id)
    return [("XACK", stream, group, *entry_ids) for stream, entry_ids in by_stream.items()]


def _about(answer: Any) -> dict[bytes, Any]:
    if isinstance(answer, ResponseError) and "no such key" in str(answer):
        return {b"length": 0, b"last-generated-id": b"0-0"}
    return pairs(require([answer])[0])


def _letter(letter_id: str, fields: Mapping[bytes, bytes]) -> DeadLetter:
    # Whoever may write there may write anything, and a report must not end over it.
    entry = Entry(text(fields.get(b"stream", b"?")), text(fields.get(b"entry", b"?")), fields.get(b"e", b""))
    return DeadLetter(letter_id, entry, text(fields.get(b"reason", b"no dead letter")))
