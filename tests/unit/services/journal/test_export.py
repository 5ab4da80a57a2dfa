# SPDX-License-Identifier: Apache-2.0
"""Parquet: a file a day, with the bytes that were hashed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from station.errors import StationError
from station.journal.chain import Head, link, origin
from station.journal.export import Exported, export
from station.journal.recorder import Limits
from station.journal.rows import rows_of
from station.journal.segments import Altered, segments

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import Station

DAY = 86_400.0


@pytest.fixture
def days(tmp_path: Path) -> Station:
    """Return a station that recorded ten bars on each of three days, in many segments."""
    folder = tmp_path / "journal"
    folder.mkdir()
    station = Station(folder, limit=3000, limits=Limits(batch=4))
    for day in range(3):
        station.publish(*kit.bars(1 + day * 10, 10 + day * 10))
        station.turn()
        station.clock.sleep(DAY)
    station.crash()
    return station


def rows(files: list[Exported]) -> pa.Table:
    return pa.concat_tables([parquet.read_table(file.path) for file in files], promote_options="permissive")


def test_each_day_is_a_file_and_together_they_are_the_journal(days, tmp_path):
    files = export(days.folder, tmp_path / "parquet")
    assert [file.path.name for file in files] == [f"journal-2025-11-{day}.parquet" for day in (21, 22, 23)]
    assert sorted(path.name for path in (tmp_path / "parquet").iterdir()) == [file.path.name for file in files]
    table = rows(files)
    lines = kit.lines(days.folder)
    assert table["sequence"].to_pylist() == [line[0] for line in lines]
    assert table["hash"].to_pylist() == [line[1].decode() for line in lines]
    assert table["record"].to_pylist() == [line[2] for line in lines]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for name, column in (("ts", "ts"), ("recorded", "recorded")):
        expected = [epoch + timedelta(microseconds=getattr(row, name)) for row in rows_of(lines).journal]
        assert table[column].to_pylist() == expected
    for name in ("stream", "agent_id", "type"):
        assert table[name].to_pylist() == [getattr(row, name) for row in rows_of(lines).journal]
    assert [files[0].first, files[-1].last] == [1, lines[-1][0]]
    assert [file.first for file in files[1:]] == [file.last + 1 for file in files[:-1]]


def test_the_chain_can_be_checked_with_the_file_alone(days, tmp_path):
    files = export(days.folder, tmp_path / "parquet")
    chain_id = bytes.fromhex(parquet.read_schema(files[0].path).metadata[b"station.chain"].decode())
    head: Head = origin(chain_id)
    table = rows(files)
    for record, digest in zip(table["record"].to_pylist(), table["hash"].to_pylist(), strict=True):
        head = link(chain_id, head, record)
        assert head.hash.hex() == digest


def test_an_export_since_a_day_has_the_same_files_from_there(days, tmp_path):
    everything = export(days.folder, tmp_path / "all")
    for since in (date(2025, 11, 22), date(2025, 11, 23)):
        files = export(days.folder, tmp_path / str(since), since)
        expected = [file for file in everything if file.path.stem >= f"journal-{since}"]
        assert [file.path.name for file in files] == [file.path.name for file in expected]
        assert rows(files).equals(rows(expected))
    assert export(days.folder, tmp_path / "none", date(2025, 11, 24)) == []


def test_a_clock_that_was_set_back_makes_no_day_twice(days, tmp_path):
    days.clock.sleep(-2 * DAY)
    days.restart()
    days.publish(*kit.bars(31, 40))
    days.clock.elapsed_ns += int(10 * DAY * 1e9)
    days.turn()
    days.crash()
    files = export(days.folder, tmp_path / "parquet")
    assert len(files) == 3
    assert rows(files)["sequence"].to_pylist() == [line[0] for line in kit.lines(days.folder)]


def test_an_export_again_replaces_the_files(days, tmp_path):
    once = export(days.folder, tmp_path / "parquet")
    before = rows(once)
    assert export(days.folder, tmp_path / "parquet") == once
    assert rows(once).equals(before)


def test_what_is_altered_is_not_exported(days, tmp_path):
    path = segments(days.folder)[-1]
    path.write_bytes(path.read_bytes().replace(b'"close":"1.0716"', b'"close":"1.0720"', 1))
    with pytest.raises(Altered):
        export(days.folder, tmp_path / "parquet")
    finished = sorted(path.name for path in (tmp_path / "parquet").glob("*.parquet"))
    assert finished == ["journal-2025-11-21.parquet", "journal-2025-11-22.parquet"]


def test_a_target_that_cannot_be_written_is_one_line(days, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StationError, match=r"cannot export .* to .*/file"):
        export(days.folder, tmp_path / "file")
