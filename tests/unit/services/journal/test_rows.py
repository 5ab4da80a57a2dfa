# SPDX-License-Identifier: Apache-2.0
"""Rows: what a record is in QuestDB."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from station import codec
from station.errors import Poison
from station.events import MarketEvent
from station.journal import record as records
from station.journal.rows import BarRow, JournalRow, rows_of

from tests.unit.services.journal import journal_kit as kit


def line(event: MarketEvent) -> tuple[int, bytes, bytes]:
    return 7, b"ab" * 32, records.compose(event.entry_id, codec.encode(event), records.tail(17, kit.STREAM))


def bar_with(**changes: object) -> MarketEvent:
    event = kit.bar(3)
    return msgspec.structs.replace(event, payload=msgspec.structs.replace(event.payload, **changes))


def test_a_bar_is_a_row_of_the_journal_and_a_row_of_bars():
    event = kit.bar(3)
    rows = rows_of([line(event)])
    time = kit.START + 3 * 3_600_000_000
    text = line(event)[2].decode()
    assert rows.journal == [JournalRow(time, 7, 17, "md:replay", "replay", "MarketEvent", "ab" * 32, text)]
    assert rows.bars == [
        BarRow(time, "EURUSD", "replay", 3_600_000_000, 1.0716, 1.0722, 1.07083, 1.0716, 1413.0, 7),
    ]
    assert rows.heads == {"md:replay": f"{kit.RUN}-3"}


def test_other_events_are_rows_of_the_journal_only():
    event = kit.started()
    data = records.compose(event.entry_id, codec.encode(event), records.tail(17, kit.STREAM))
    rows = rows_of([(1, b"00" * 32, data)])
    assert (len(rows.journal), rows.bars) == (1, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": ""},
        {"symbol": "EUR\0USD"},
        {"source": "x" * 129},
        {"high": Decimal("1e400")},
        {"interval": 2**63},
        {"interval": -1},
    ],
)
def test_a_bar_that_a_column_cannot_hold_is_in_the_journal_only(changes):
    rows = rows_of([line(bar_with(**changes))])
    assert (len(rows.journal), rows.bars) == (1, [])


def test_a_line_without_a_record_is_poison():
    with pytest.raises(Poison, match="record 7 is none"):
        rows_of([(7, b"", b"{}")])
