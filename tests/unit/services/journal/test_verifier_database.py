# SPDX-License-Identifier: Apache-2.0
"""The verifier and QuestDB: rows and bars that say other than the journal, and a database that lags."""

from __future__ import annotations

import msgspec
import pytest

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.history_kit import LAST, bar_of, overwrite


def test_a_row_that_was_overwritten_in_silence_is_found(history):
    record = history.station.store.row(25).record
    overwrite(history, 25, record=record.replace("1.0716", "1.0720"))
    assert history.broken(copy=True) == (25, "hash")


def test_a_hash_that_was_overwritten_is_found(history):
    overwrite(history, 25, hash="0" * 64)
    assert history.broken(copy=True) == (25, "hash")


@pytest.mark.parametrize("column", ["recorded", "stream", "agent_id", "type"])
def test_a_column_that_says_other_than_the_record_is_found(history, column):
    value = getattr(history.station.store.row(25), column)
    overwrite(history, 25, **{column: value + type(value)(1)})
    assert history.broken(copy=True) == (25, "projection")


def test_a_row_that_is_gone_is_found(history):
    row = history.station.store.row(25)
    del history.station.store.rows[row.ts, row.seq]
    assert history.broken(copy=True) == (25, "gap")


def test_rows_that_are_gone_at_the_end_are_found_once_the_database_has_had_time(history):
    store = history.station.store
    store.rows = {key: row for key, row in store.rows.items() if row.seq <= 40}
    assert history.broken(copy=True) == (41, "gap")
    history.station.clock.time -= 1_000_000_000
    verdict = history.verdict(copy=True)
    assert (verdict.ok, verdict.stored) == (True, 40)


def test_a_second_row_of_a_record_at_another_time_is_found(history):
    row = history.station.store.row(25)
    history.station.store.rows[row.ts + 1, row.seq] = row._replace(ts=row.ts + 1)
    assert history.broken(copy=True) == (25, "fork")


def test_a_row_of_no_record_is_found(history):
    row = history.station.store.row(25)
    history.station.store.rows[row.ts, 99] = row._replace(seq=99)
    assert history.broken(copy=True) == (LAST + 1, "truncation")
    del history.station.store.rows[row.ts, 99]
    history.station.store.rows[row.ts, 0] = row._replace(seq=0)
    assert history.broken(copy=True) == (1, "projection")


def test_a_bar_that_was_edited_is_found(history):
    bar = bar_of(history, 25)
    history.station.store.bar_rows[bar.key] = bar._replace(close=1.072)
    assert history.broken(copy=True) == (25, "projection")


def test_a_bar_that_is_gone_is_found(history):
    del history.station.store.bar_rows[bar_of(history, 25).key]
    assert history.broken(copy=True) == (25, "projection")


@pytest.mark.parametrize("sequence", [1, 25])
def test_a_bar_that_nobody_sent_is_found(history, sequence):
    bar = bar_of(history, 25)._replace(ts=5, seq=sequence)
    history.station.store.bar_rows[bar.key] = bar
    assert history.broken(copy=True) == (sequence, "projection")


def test_a_bar_of_a_record_that_is_not_there_is_found(history):
    bar = bar_of(history, 25)._replace(ts=5, seq=1000)
    history.station.store.bar_rows[bar.key] = bar
    assert history.broken(copy=True) == (LAST + 1, "projection")


def test_a_bar_that_a_later_one_corrected_is_clean_and_an_earlier_one_in_its_place_is_not(history):
    station = history.station
    station.restart()
    correction = kit.bar(24, run=kit.RUN + 1, close="1.0719")
    station.publish(msgspec.structs.replace(correction, sequence=1))
    station.turn()
    station.clock.sleep(1000)
    later = station.store.bar_rows[bar_of(history, station.recorder.sequence).key]
    assert history.verdict(copy=True).ok
    station.store.bar_rows[later.key] = later._replace(close=1.0716, seq=25)
    assert history.broken(copy=True) == (station.recorder.sequence, "projection")


def test_a_database_that_lags_is_compared_as_far_as_it_is(history):
    station = history.station
    station.restart()
    station.store.away = True
    station.publish(*kit.bars(LAST, LAST + 40))
    station.clock.sleep(1)
    station.recorder.step()
    station.store.away = False
    verdict = history.verdict(copy=True)
    assert (verdict.ok, verdict.checked, verdict.stored) == (True, station.recorder.sequence, LAST)
