# SPDX-License-Identifier: Apache-2.0
"""Segments: read in order, cut where a crash tore them, and never believed where a line is not what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from station.errors import StationError
from station.journal.segments import Altered, Reader, path_of, segment_with, segments

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import Station


@pytest.fixture
def small(tmp_path: Path) -> Station:
    """Return a station whose journal has a segment for each batch, and a few of them."""
    station = Station(tmp_path, limit=1)
    for first in (1, 4, 7):
        station.publish(*kit.bars(first, first + 2))
        station.turn()
    return station


def altered(folder: Path) -> tuple[int, str]:
    with pytest.raises(Altered) as caught:
        kit.lines(folder)
    return caught.value.sequence, caught.value.kind


def test_a_segment_is_named_after_its_first_record_and_a_line_is_sequence_hash_record(station):
    station.publish(kit.bar(1))
    station.turn()
    assert [path.name for path in segments(station.folder)] == ["000000000001.segment"]
    first, second = kit.text_lines(station.folder)
    assert first.startswith(b"1\t")
    assert b'"note":"genesis"' in first
    number, digest, record = second[:-1].split(b"\t")
    assert (number, len(digest)) == (b"2", 64)
    assert record.startswith(b'{"entry":"1763715600000-1","event":{"agent_id":"replay",')
    assert record.endswith(b'},"recorded":"%d","stream":"md:replay"}' % station.clock.now())


def test_a_new_segment_begins_with_what_came_before_it(small):
    paths = segments(small.folder)
    assert [path.name for path in paths][:2] == ["000000000001.segment", "000000000002.segment"]
    for path, before in zip(paths[1:], kit.lines(small.folder), strict=False):
        with path.open("rb") as file:
            assert b'"previous":"' in file.readline()
        assert Reader(path).head.sequence + 1 == int(path.stem)
        assert before  # each of them continues a record that is there
    assert b'"head md:replay":"1763715600000-6"' in paths[-1].read_bytes()


def test_reading_can_begin_at_any_segment(small):
    whole = kit.lines(small.folder)
    for path in segments(small.folder):
        assert Reader(path).read() == [line for line in whole if segment_with(small.folder, line[0]) == path]


def test_a_reader_sees_what_is_added_and_the_next_segment_too(small):
    reader = Reader.at_beginning(small.folder)
    seen = [line for block in reader.blocks() for line in block]
    assert reader.read() == []
    small.publish(*kit.bars(10, 12))
    small.turn()
    assert seen + [line for block in reader.blocks() for line in block] == kit.lines(small.folder)


def test_a_reader_does_not_look_behind_the_record_it_may_read(small):
    last = kit.lines(small.folder)[-1][0]
    for until in range(last + 1):
        reader = Reader.at_beginning(small.folder)
        assert [line[0] for block in reader.blocks(until) for line in block] == list(range(1, until + 1))


def test_a_reader_does_not_look_into_a_segment_whose_first_record_may_be_taken_back(small):
    reader = Reader.at_beginning(small.folder)
    whole = [line for block in reader.blocks() for line in block]
    path_of(small.folder, whole[-1][0] + 1).write_bytes(b"not yet\n")
    assert reader.read(until=whole[-1][0]) == []
    with pytest.raises(Altered):
        reader.read(until=whole[-1][0] + 1)


@given(size=st.integers(1, 5000))
@settings(max_examples=20)
def test_the_lines_are_the_same_however_much_is_read_at_once(tmp_path_factory, size):
    station = Station(tmp_path_factory.mktemp("journal"))
    station.publish(*kit.bars(1, 5))
    station.turn()
    reader = Reader.at_beginning(station.folder)
    found = []
    while lines := reader.read(size=size):
        found += lines
    assert found == kit.lines(station.folder)


def test_half_a_line_at_the_end_is_not_read_and_is_counted(station):
    station.publish(kit.bar(1))
    station.turn()
    whole = kit.lines(station.folder)
    path = segments(station.folder)[0]
    path.write_bytes(path.read_bytes() + b"3\tabc")
    reader = Reader.at_beginning(station.folder)
    assert reader.read() == whole
    assert reader.read() == []
    assert reader.rest == 5


def test_a_segment_of_which_nothing_whole_is_there_yet_is_not_read(small):
    whole = kit.lines(small.folder)
    path_of(small.folder, whole[-1][0] + 1).write_bytes(b"")
    assert kit.lines(small.folder) == whole
    path_of(small.folder, whole[-1][0] + 1).write_bytes(b"12\tab")
    assert kit.lines(small.folder) == whole


def test_a_folder_without_a_journal_is_one_line(tmp_path):
    with pytest.raises(StationError, match="no segment is there"):
        Reader.at_beginning(tmp_path)
    with pytest.raises(StationError, match="No such file"):
        Reader.at_beginning(tmp_path / "none")


def test_half_a_line_before_the_newest_segment_is_an_alteration(small):
    path = segments(small.folder)[1]
    path.write_bytes(path.read_bytes()[:-1])
    with path.open("rb") as file:
        count = len(file.readlines())
    assert altered(small.folder) == (2 + count - 1, "hash")


def test_a_missing_segment_is_a_gap(small):
    paths = segments(small.folder)
    paths[1].unlink()
    assert altered(small.folder) == (2, "gap")


def test_a_missing_first_segment_is_a_gap_at_the_first_record(small):
    segments(small.folder)[0].unlink()
    assert altered(small.folder) == (1, "gap")


def test_an_old_segment_under_a_new_name_does_not_continue_the_journal(small):
    end = kit.lines(small.folder)[-1][0]
    path_of(small.folder, end + 1).write_bytes(segments(small.folder)[1].read_bytes())
    assert altered(small.folder) == (end + 1, "link")


def test_a_segment_of_another_journal_does_not_continue_this_one(small, tmp_path_factory):
    other = Station(tmp_path_factory.mktemp("other"), limit=1)
    for first in (1, 4, 7):
        other.clock.sleep(5)
        other.publish(*kit.bars(first, first + 2))
        other.turn()
    first = int(segments(small.folder)[2].stem)
    assert segments(other.folder)[2].name == segments(small.folder)[2].name
    path_of(small.folder, first).write_bytes(path_of(other.folder, first).read_bytes())
    assert altered(small.folder) == (first, "link")


def test_a_segment_that_begins_inside_another_is_a_fork(small):
    second = int(segments(small.folder)[1].stem)
    path_of(small.folder, second + 1).write_bytes(b"x\n")
    assert altered(small.folder) == (second + 1, "fork")


def test_a_segment_named_after_another_record_is_a_link(small):
    path = segments(small.folder)[2]
    path.rename(path_of(small.folder, int(path.stem) + 100))
    for other in segments(small.folder)[2:-1]:
        other.unlink()
    assert altered(small.folder) == (int(path.stem), "gap")
    with pytest.raises(Altered, match=f"begins with record {int(path.stem)}"):
        Reader(path_of(small.folder, int(path.stem) + 100))
