# SPDX-License-Identifier: Apache-2.0
"""One consumer of one group: first what it was given before, then what others left lying, then what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from station.bus import alarms
from station.bus.alarms import Alarms
from station.bus.port import Entry
from station.bus.redis_reply import entries_of, pairs, removed, text
from station.bus.wire import Wire, Word, require
from station.clock import Clock

# A blocked reader is told the second when the whole stream is removed under it.
_GROUP_GONE = ("NOGROUP", "UNBLOCKED")
_GROUP_THERE = "BUSYGROUP"


class _GroupGoneError(Exception):
    """A stream or its group is not there."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the consumers of a connection have in common.

    Attributes:
        clock: tells when to look again for entries that others left lying.
        left_lying_ms: how long an entry is given and not acknowledged before another consumer takes it.
        raise_alarm: is told of lost groups and lost entries.
    """

    clock: Clock
    left_lying_ms: int
    raise_alarm: Alarms


class Consumer:
    """The reading side of a connection."""

    def __init__(self, wire: Wire, terms: Terms, group: str, consumer: str) -> None:
        self._wire = wire
        self._terms = terms
        self._group = group
        self._consumer = consumer
        self._life = wire.life
        self._seen: set[str] = set()  # streams that had the group at any time
        self._ready: set[str] = set()  # streams that have had it since this connection began
        self._own_after: dict[str, str] = {}  # streams with own pending entries, and up to which they were read
        self._look_again_ns = 0

    def consume(self, streams: Sequence[str], count: int, wait_ms: int) -> list[Entry]:
        """Return up to `count` entries a stream; wait up to `wait_ms` if there is nothing."""
        while True:
            if self._life != self._wire.life:
                self._life = self._wire.life
                self._ready.clear()
            try:
                self._begin([stream for stream in streams if stream not in self._ready])
                return (
                    self._own(streams, count) or self._left_lying(streams, count) or self._new(streams, count, wait_ms)
                )
            except _GroupGoneError:
                self._ready.clear()

    def _begin(self, streams: Sequence[str]) -> None:
        """See to it that the groups are there, and read own pending entries from their beginning."""
        if not streams:
            return
        creations = [("XGROUP", "CREATE", stream, self._group, "0", "MKSTREAM") for stream in streams]
        for stream, answer in zip(streams, self._wire.ask(*creations), strict=True):
            if not (isinstance(answer, ResponseError) and str(answer).startswith(_GROUP_THERE)):
                require([answer])
                if stream in self._seen:
                    self._terms.raise_alarm(alarms.lost_group(stream, self._group))
        self._seen.update(streams)
        self._ready.update(streams)
        self._own_after |= dict.fromkeys(streams, "0-0")

    def _own(self, streams: Sequence[str], count: int) -> list[Entry]:
        while unread := {stream: self._own_after[stream] for stream in streams if stream in self._own_after}:
            entries = []
            for stream, rows in self._read_group(count, list(unread), list(unread.values()), ()):
                self._report_lost(stream, removed(rows))
                entries += entries_of(stream, rows)
                if len(rows) < count:
                    del self._own_after[stream]
                else:
                    self._own_after[stream] = text(rows[-1][0])
            if entries:
                return self._with_deliveries(entries)
        return []

    def _with_deliveries(self, entries: Sequence[Entry]) -> list[Entry]:
        by_stream: dict[str, list[Entry]] = {}
        for entry in entries:
            by_stream.setdefault(entry.stream, []).append(entry)
        looks = [
            ("XPENDING", stream, self._group, group[0].entry_id, group[-1].entry_id, len(group), self._consumer)
            for stream, group in by_stream.items()
        ]
        answers = self._ask(*looks)
        given = {
            (stream, text(row[0])): int(row[3]) for stream, rows in zip(by_stream, answers, strict=True) for row in rows
        }
        return [_given(entry, given.get((entry.stream, entry.entry_id), 1)) for entry in entries]

    def _left_lying(self, streams: Sequence[str], count: int) -> list[Entry]:
        """Take over what consumers that went away have left.

        XAUTOCLAIM would do it in one command, and also hand out again what this consumer still holds, as the recorder
        does while the database is away.
        """
        now = self._terms.clock.monotonic_ns()
        if now < self._look_again_ns:
            return []
        looks = [
            ("XPENDING", stream, self._group, "IDLE", self._terms.left_lying_ms, "-", "+", count, other)
            for stream, other in self._others(streams)
        ]
        found: dict[str, list[Entry]] = {}
        for look, rows in zip(looks, self._ask(*looks) if looks else [], strict=True):
            stream = str(look[1])
            if rows and not found.get(stream):
                found[stream] = self._claim(stream, {text(row[0]): int(row[3]) for row in rows})
        entries = [entry for part in found.values() for entry in part]
        if not entries:
            self._look_again_ns = now + self._terms.left_lying_ms * 500_000
        return entries

    def _others(self, streams: Sequence[str]) -> list[tuple[str, str]]:
        answers = self._ask(*(("XINFO", "CONSUMERS", stream, self._group) for stream in streams))
        rows = [(stream, pairs(row)) for stream, listed in zip(streams, answers, strict=True) for row in listed]
        return [
            (stream, text(row[b"name"]))
            for stream, row in rows
            if row[b"pending"] and text(row[b"name"]) != self._consumer
        ]

    def _claim(self, stream: str, given: dict[str, int]) -> list[Entry]:
        claim: list[Word] = ["XCLAIM", stream, self._group, self._consumer, self._terms.left_lying_ms, *given]
        entries = entries_of(stream, self._ask(claim)[0])
        claimed = {entry.entry_id for entry in entries}
        gone = [entry_id for entry_id in given if entry_id not in claimed]
        if gone:  # removed from the stream, or taken by somebody else a moment ago
            found = self._ask(*(("XRANGE", stream, entry_id, entry_id) for entry_id in gone))
            lost = [entry_id for entry_id, rows in zip(gone, found, strict=True) if not rows]
            self._report_lost(stream, lost)
        return [_given(entry, given[entry.entry_id] + 1) for entry in entries]

    def _new(self, streams: Sequence[str], count: int, wait_ms: int) -> list[Entry]:
        block = ("BLOCK", wait_ms) if wait_ms > 0 else ()
        found = self._read_group(count, streams, [">"] * len(streams), block)
        return [entry for stream, rows in found for entry in entries_of(stream, rows)]

    def _read_group(
        self, count: int, streams: Sequence[str], after: Sequence[str], block: Sequence[Word]
    ) -> list[tuple[str, Any]]:
        command: list[Word] = ["XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count]
        found = self._ask([*command, *block, "STREAMS", *streams, *after])[0]
        return [(text(stream), rows) for stream, rows in found or ()]

    def _report_lost(self, stream: str, entry_ids: Sequence[str]) -> None:
        if entry_ids:
            self._ask(("XACK", stream, self._group, *entry_ids))
            self._terms.raise_alarm(alarms.lost_entries(stream, self._group, entry_ids))

    def _ask(self, *commands: Sequence[Word]) -> list[Any]:
        answers = self._wire.ask(*commands)
        if any(isinstance(answer, ResponseError) and str(answer).startswith(_GROUP_GONE) for answer in answers):
            raise _GroupGoneError
        return require(answers)


def _given(entry: Entry, deliveries: int) -> Entry:
    return Entry(entry.stream, entry.entry_id, entry.data, deliveries)
