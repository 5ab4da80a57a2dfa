# SPDX-License-Identifier: Apache-2.0
"""What a record is in QuestDB: a row of `journal`, and one of `bars` if it is a bar. Pure, for writer and verifier."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from station import codec
from station.errors import Poison
from station.events import SCHEMA
from station.journal import record as records
from station.journal.segments import Line

_INT64 = 1 << 63


class JournalRow(NamedTuple):
    """A row of `journal`; times in microseconds UTC. The record is the truth, the rest is taken from it for queries."""

    ts: int
    seq: int
    recorded: int
    stream: str
    agent_id: str
    type: str
    hash: str
    record: str


class BarRow(NamedTuple):
    """A row of `bars`, stamped at the close. Its exact decimals are in the record `seq`."""

    ts: int
    symbol: str
    source: str
    interval: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    seq: int

    @property
    def key(self) -> tuple[int, str, str, int]:
        """Return what there is one row of: a later bar of the same key takes the place of the former."""
        return self.ts, self.symbol, self.source, self.interval


class Rows(NamedTuple):
    """The rows of some records, and the newest entry of each stream among them."""

    journal: list[JournalRow]
    bars: list[BarRow]
    heads: dict[str, str]


class _Stored(msgspec.Struct, frozen=True):
    entry: str
    event: codec.Header
    recorded: int
    stream: str


class _Prices(msgspec.Struct, frozen=True):
    symbol: str
    source: str
    interval: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class _BarEvent(msgspec.Struct, frozen=True):
    timestamp: int
    payload: _Prices


class _StoredBar(msgspec.Struct, frozen=True):
    event: _BarEvent


# Lax, because numbers are spelt as text.
_DECODER = msgspec.json.Decoder(_Stored, strict=False)
_BAR_DECODER = msgspec.json.Decoder(_StoredBar, strict=False)


def rows_of(lines: Iterable[Line]) -> Rows:
    """Return the rows of lines of a segment.

    Raises:
        Poison: a line holds no record.
    """
    journal, bars, heads = list[JournalRow](), list[BarRow](), dict[str, str]()
    for sequence, digest, data in lines:
        try:
            stored = _DECODER.decode(data)
        except records.UNREADABLE as error:
            raise Poison(f"record {sequence} is none: {error}") from None
        event, stream, text = stored.event, stored.stream, data.decode()
        row = (event.timestamp, sequence, stored.recorded, stream, event.agent_id, event.type, digest.decode(), text)
        journal.append(JournalRow._make(row))
        heads[stream] = stored.entry
        if event.type == "MarketEvent" and event.schema <= SCHEMA:
            bar = _bar(sequence, data)
            if bar is not None:
                bars.append(bar)
    return Rows(journal, bars, heads)


def _bar(sequence: int, data: bytes) -> BarRow | None:
    """Return the row of a bar, None if this release or a column cannot hold it: it is in the record all the same."""
    try:
        event = _BAR_DECODER.decode(data).event
    except records.UNREADABLE:
        return None
    bar = event.payload
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    if not (records.is_name(bar.symbol) and records.is_name(bar.source)):
        return None
    if not all(map(math.isfinite, numbers)) or not 0 <= bar.interval < _INT64:
        return None
    return BarRow._make((event.timestamp, bar.symbol, bar.source, bar.interval, *numbers, sequence))
