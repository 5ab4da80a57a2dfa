# SPDX-License-Identifier: Apache-2.0
"""The bare client is given what the journal's writer gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from questdb.ingress import TimestampMicros
from station.journal import questdb

from tests.performance.bus import chain, ingest


def plain(value: Any) -> Any:
    """Return fields so that they can be compared: the client's times cannot."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return ("time", value.value) if isinstance(value, TimestampMicros) else value


def test_the_same_fields_in_rows_of_both_tables(tmp_path: Path):
    chain.append(tmp_path, chain.journal(300))
    (rows,) = ingest.batches(tmp_path)
    assert (len(rows.journal), len(rows.bars)) == (300, 299)
    for row in rows.journal:
        assert plain(ingest.journal_fields(row)) == plain(questdb._journal_fields(row))
    for bar in rows.bars:
        assert plain(ingest.bar_fields(bar)) == plain(questdb._bar_fields(bar))


def test_no_row_takes_the_place_of_another(tmp_path: Path):
    chain.append(tmp_path, chain.journal(3_000))
    bars = [bar for rows in ingest.batches(tmp_path) for bar in rows.bars]
    assert len({bar.key for bar in bars}) == 2_999


def test_the_goal_is_a_part_of_the_clients_own_rate():
    rows, replay = ingest.rows({"ours": 40_000, "bare": 50_000, "replay": 15_000})
    assert (rows.ratio, rows.met, rows.goal) == (0.8, True, "ratio >= 0.8")
    assert (replay.value, replay.met) == (15_000, None)
