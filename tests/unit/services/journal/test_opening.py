# SPDX-License-Identifier: Apache-2.0
"""Opening: what a crash left, and what no crash can have left."""

from __future__ import annotations

import hashlib
import shutil
from unittest.mock import patch

import pytest
from station.errors import StationError
from station.journal import opening
from station.journal.checkpoint_log import NAME
from station.journal.segments import Reader, path_of, segments

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import SIGNER, STRANGER, Station


def filled(station: Station, last: int = 20) -> Station:
    station.publish(*kit.bars(1, last))
    station.turn()
    return station


def test_a_new_journal_says_which_chain_it_is_who_writes_it_and_with_which_key(station):
    assert station.notes("genesis") == [
        {"chain": kit.CHAIN_ID.hex(), "host": "station", "key": SIGNER.verifier.text()},
    ]


def test_each_chain_has_an_id_of_its_own():
    assert len({opening.chain_id() for _ in range(3)}) == 3
    assert len(opening.chain_id()) == 16


def test_a_restart_is_noted_and_the_recorder_s_own_numbers_go_on_whatever_the_clock_says(station):
    filled(station)
    before = station.recorded("journal")
    station.crash()
    station.clock.time -= 86_400_000_000
    station.restart()
    assert station.notes("restart") == [{"host": "station", "key": SIGNER.verifier.text()}]
    after = station.recorded("journal")
    assert after[: len(before)] == before
    assert int(after[-1].split("-")[0]) == int(before[-1].split("-")[0]) + 1


@pytest.mark.parametrize("torn", [b"2", b"22\t00ab", b"\0" * 100, b"x" * 200_000])
def test_half_a_line_is_cut_and_noted(station, torn):
    filled(station)
    station.crash()
    path = segments(station.folder)[-1]
    with path.open("ab") as file:
        file.write(torn)
    station.restart()
    assert station.notes("torn") == [
        {"file": path.name, "bytes": str(len(torn)), "sha256": hashlib.sha256(torn).hexdigest()}
    ]
    assert len(station.recorded()) == 20


def test_a_segment_of_which_nothing_whole_was_written_is_taken_away_and_noted(station):
    filled(station)
    station.crash()
    end = kit.lines(station.folder)[-1][0]
    path_of(station.folder, end + 1).write_bytes(b"22\t00")
    station.restart()
    assert station.notes("torn")[0]["file"] == path_of(station.folder, end + 1).name
    assert len(segments(station.folder)) == 1
    station.crash()
    path_of(station.folder, station.recorder.sequence + 1).touch()
    station.restart()
    assert len(station.notes("torn")) == 1


def test_only_the_newest_segment_is_read(tmp_path):
    station = Station(tmp_path, limit=1)
    for first in (1, 4, 7):
        station.publish(*kit.bars(first, first + 2))
        station.turn()
    station.crash()
    segments(tmp_path)[0].write_bytes(b"altered\n")
    with patch.object(opening, "Reader", side_effect=Reader) as reader:
        station.restart()
    assert [call.args for call in reader.call_args_list] == [(segments(tmp_path)[-2],)]
    assert station.opened.heads[kit.STREAM] == (kit.RUN, 9)


def test_an_altered_newest_segment_is_refused(station):
    filled(station)
    station.crash()
    path = segments(station.folder)[-1]
    path.write_bytes(path.read_bytes().replace(b'"close":"1.0716"', b'"close":"1.0717"', 1))
    with pytest.raises(StationError, match=r"record 2: hash: .*run `station journal verify`"):
        station.restart()


def test_a_journal_shorter_than_its_newest_checkpoint_is_refused(station):
    filled(station)
    station.crash()
    path = segments(station.folder)[-1]
    lines = kit.text_lines(station.folder)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(StationError, match=r"^TRUNCATION: .* ends with record 20, but 21 were signed"):
        station.restart()
    path.write_bytes(b"".join(lines)[:-1])
    with pytest.raises(StationError, match=r"^TRUNCATION: .* ends with record 20, but 21 were signed"):
        station.restart()


def test_a_journal_without_segments_is_refused_if_anything_was_signed(station):
    filled(station)
    station.crash()
    segments(station.folder)[0].unlink()
    with pytest.raises(StationError, match=r"^TRUNCATION: .* ends with record 0, but 21 were signed"):
        station.restart()


def test_another_history_of_the_same_length_is_refused(station, tmp_path_factory):
    filled(station)
    station.crash()
    other = Station(tmp_path_factory.mktemp("other"))
    other.clock.sleep(1)
    filled(other)
    shutil.copy(segments(other.folder)[0], segments(station.folder)[0])
    with pytest.raises(StationError, match="record 21 is not the one that was signed"):
        station.restart()


def test_checkpoints_of_another_chain_are_refused(station, tmp_path_factory):
    filled(station)
    station.crash()
    with patch.object(kit, "CHAIN_ID", bytes(16)):
        other = filled(Station(tmp_path_factory.mktemp("other")))
    shutil.copy(other.folder / NAME, station.folder / NAME)
    with pytest.raises(StationError, match=f"the newest checkpoint is of another chain, .*/{'00' * 16}"):
        station.restart()


def test_half_a_checkpoint_is_cut_and_the_one_before_counts(station):
    filled(station)
    station.crash()
    file = station.folder / NAME
    whole = file.read_bytes()
    for length in range(1, 200, 7):
        file.write_bytes(whole + whole[:length])
        assert kit.signed(station.folder) == 21
    station.restart()
    assert file.read_bytes().startswith(whole)
    assert kit.signed(station.folder) == station.recorder.sequence


def test_a_checkpoint_of_another_key_is_refused_unless_it_is_a_former_key(station):
    filled(station)
    station.crash()
    with pytest.raises(StationError, match="not signed by the journal's key"):
        kit.open(station.folder, signer=STRANGER)
    author = opening.Author(STRANGER, {}, former_keys=[SIGNER.verifier])
    opening.open_journal(station.folder, author).close()
    kit.open(station.folder).close()


def test_a_refused_journal_is_not_locked(station):
    station.crash()
    with pytest.raises(StationError, match="not signed"):
        kit.open(station.folder, signer=STRANGER)
    station.restart()
