# SPDX-License-Identifier: Apache-2.0
"""The journal as the judge needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from station import codec
from station.errors import Poison
from station.events import HealthEvent, JournalEvent, MarketEvent, SignalEvent
from station.journal import record as records
from station.journal.segments import Line, Reader

from tests.faults import load
from tests.faults.history import Journal
from tests.faults.probe import STREAM


def journal(folder: Path) -> Journal:
    """Return what the segments say."""
    found = Journal([], [], [], [])
    for _, digest, data in lines(folder):
        _take(found, digest.decode(), records.parse(data))
    return found


def lines(folder: Path) -> Iterator[Line]:
    """Yield all records of a journal."""
    with closing(Reader.at_beginning(folder)) as reader:
        for block in reader.blocks():
            yield from block


def _take(found: Journal, digest: str, record: records.Record) -> None:
    found.hashes.append(digest)
    found.entries.append((record.stream, record.entry))
    try:
        event = codec.decode(bytes(record.event))
    except Poison:
        return
    match event:
        case HealthEvent() if record.stream == STREAM and event.payload.state == "progress":
            found.numbers.append((event.payload.progress, record.entry))
        case MarketEvent() if event.payload.symbol == load.SYMBOL:
            found.bars.append(event.timestamp)
        case SignalEvent():
            found.signals.append((event.causation_id or "", int(event.payload.strength)))
        case JournalEvent() if event.payload.note == "gap":
            detail = event.payload.detail
            last = int(detail["last"]) if "last" in detail else None
            found.gaps.append((detail["stream"], int(detail["run"]), int(detail["first"]), last))
        case JournalEvent() if event.payload.note == "torn":
            found.torn.append(int(event.payload.detail["bytes"]))
