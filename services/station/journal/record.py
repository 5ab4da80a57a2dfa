# SPDX-License-Identifier: Apache-2.0
"""A record: one event with where and when the recorder got it, as canonical bytes.

`{"entry":"<run-sequence>","event":<the event's own bytes>,"recorded":"<microseconds>","stream":"<stream>"}`: the names
are sorted, so that the record is made by joining and the event's bytes stay as they were sent.
"""

from __future__ import annotations

import re

import msgspec

from station import codec
from station.domain.operation import JournalNote
from station.errors import Poison
from station.events import JournalEvent

# The stream that the recorder's own notes say they are of; there is none of this name on the bus.
OWN_STREAM = "journal"

# QuestDB keeps no time before 1970, and its client counts nanoseconds in 63 bits.
LATEST = 7_258_118_400_000_000  # the year 2200
LONGEST_NAME = 128
# QuestDB answers with what fits its buffer of 2 MiB: one record beyond it, and no copy could be verified any more.
LONGEST_EVENT = 1 << 18
# What a JSON reader bears depends on where it is called; nobody needs so much.
DEEPEST = 64
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[\[{\]}]")


class Record(msgspec.Struct, frozen=True):
    """A record taken apart."""

    entry: str
    event: msgspec.Raw
    recorded: int
    stream: str


_DECODER = msgspec.json.Decoder(Record, strict=False)
# What the reader says to bytes that are no JSON, no text, or nested without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def compose(entry_id: str, event: bytes, tail: bytes) -> bytes:
    """Return the bytes of a record.

    Args:
        entry_id: `run-sequence`.
        event: canonical bytes without a line feed.
        tail: what `tail` returned.
    """
    return b'{"entry":"%b","event":%b%b' % (entry_id.encode(), event, tail)


def tail(recorded: int, stream: str) -> bytes:
    """Return the end of a record, which a batch shares.

    Args:
        recorded: microseconds UTC.
        stream: name of the stream.
    """
    return b',"recorded":"%d","stream":%b}' % (recorded, codec.canonical(stream))


def parse(data: bytes) -> Record:
    """Return a record taken apart.

    Raises:
        Poison: not a record.
    """
    try:
        return _DECODER.decode(data)
    except UNREADABLE as error:
        raise Poison(f"not a record: {error}") from None


def note_of(record: Record) -> JournalNote | None:
    """Return the recorder's own note in a record, None if it is somebody else's event."""
    if record.stream != OWN_STREAM:
        return None
    try:
        event = codec.decode(bytes(record.event))
    except Poison:
        return None
    return event.payload if isinstance(event, JournalEvent) else None


def is_name(text: str) -> bool:
    """Say whether a text can stand in a column of names."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()


def problem(entry_id: str, event: bytes) -> str:
    """Return why bytes from the bus cannot be a record, "" if they can.

    Whatever passes here fits a line of a segment and a row of QuestDB, so that no event stops those behind it.
    """
    if len(event) > LONGEST_EVENT:
        return f"it has {len(event)} bytes, more than {LONGEST_EVENT}"
    if b"\n" in event:
        return "it has a line feed, canonical bytes have none"
    try:
        event.decode()
        known = codec.header(event)
    except UnicodeDecodeError:
        return "it is not UTF-8"
    except Poison as error:
        return str(error)
    if event.count(b"[") + event.count(b"{") > DEEPEST and _depth(event) > DEEPEST:
        return "it is nested too deeply"
    return _misfit(entry_id, known)


def _depth(event: bytes) -> int:
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", event)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _misfit(entry_id: str, known: codec.Header) -> str:
    if entry_id != f"{known.run}-{known.sequence}":
        return f"it says {known.run}-{known.sequence}"
    if not 0 <= known.timestamp <= LATEST:
        return f"its timestamp {known.timestamp} is not between 1970 and 2200"
    for name in (known.agent_id, known.type):
        if not is_name(name):
            return f"{name[:LONGEST_NAME]!r} is no name"
    return ""
