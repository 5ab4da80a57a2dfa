# SPDX-License-Identifier: Apache-2.0
"""The writer: a batch is on the disk or it never was."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from station.errors import StationError, Unavailable
from station.journal.recorder import Limits
from station.journal.segments import segments
from station.journal.writer import Lock, SegmentWriter

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import Station


@contextmanager
def failing(name: str, number: int, when: Callable[[int], bool] = lambda _: True) -> Iterator[None]:
    """Let a call of the system fail; `when` is asked with the number of the call."""
    real, calls = getattr(os, name), [0]

    def call(*words: object) -> object:
        calls[0] += 1
        if when(calls[0]):
            raise OSError(number, os.strerror(number))
        return real(*words)

    with patch(f"station.journal.writer.os.{name}", call):
        yield


def full_after(count: int) -> AbstractContextManager[object]:
    """Return what takes so many bytes and no more, as a disk that fills up does."""
    real, left = os.write, [count]

    def write(file: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(file, bytes(data)[: left[0]])
        left[0] -= written
        return written

    return patch("station.journal.writer.os.write", write)


def contents(station: Station) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in segments(station.folder)}


def test_a_second_recorder_is_refused(station):
    with pytest.raises(StationError, match="another recorder writes this journal"):
        kit.open(station.folder)
    station.crash()
    kit.open(station.folder).close()


def test_a_recorder_that_may_not_write_says_so(tmp_path):
    with pytest.raises(StationError, match="No such file"):
        Lock(tmp_path / "none")


def test_a_batch_is_one_write_and_one_fdatasync(station):
    with patch("station.journal.writer.os", wraps=os) as system:
        station.opened.writer.append([b"{}"] * 100)
    assert [name for name, _, _ in system.mock_calls] == ["write", "fdatasync"]


def test_the_folder_is_synced_when_a_segment_is_new_and_the_file_is_for_its_group_only(tmp_path):
    synced = []
    with patch("station.journal.writer.os.fsync", lambda file: synced.append(Path(f"/proc/self/fd/{file}").readlink())):
        station = Station(tmp_path)
        assert synced == [tmp_path]
        station.opened.writer.append([b"{}"])
    assert synced == [tmp_path]
    assert segments(tmp_path)[0].stat().st_mode & 0o7777 & 0o007 == 0


@pytest.mark.parametrize("taken", [0, 1, 100, 1000])
def test_a_full_disk_leaves_the_last_batch_and_takes_the_same_one_when_there_is_space(station, taken):
    before = contents(station)
    station.publish(*kit.bars(1, 20))
    with full_after(taken):
        for _ in range(3):
            with pytest.raises(Unavailable, match=r"000000000001.segment: No space left on device"):
                station.recorder.step()
        assert contents(station) == before
        assert station.recorder.sequence == 1
    station.turn()
    assert station.recorded() == [event.entry_id for event in kit.bars(1, 20)]


def test_a_disk_that_cannot_sync_leaves_the_last_batch(station):
    before = contents(station)
    station.publish(*kit.bars(1, 20))
    # The first sync is that of the batch; the second, of what was taken back, works again.
    with failing("fdatasync", errno.EIO, lambda call: call == 1), pytest.raises(Unavailable, match="Input/output"):
        station.recorder.step()
    assert contents(station) == before
    station.turn()
    assert station.recorded() == [event.entry_id for event in kit.bars(1, 20)]


def test_what_could_not_be_taken_back_is_taken_back_before_the_next_batch(station):
    station.publish(*kit.bars(1, 5))
    with failing("fdatasync", errno.EIO), failing("ftruncate", errno.EIO), pytest.raises(Unavailable):
        station.recorder.step()
    assert len(kit.text_lines(station.folder)) > 1
    with failing("ftruncate", errno.EIO), pytest.raises(Unavailable):
        station.recorder.step()
    station.turn()
    assert station.recorded() == [event.entry_id for event in kit.bars(1, 5)]


def test_a_full_disk_when_a_segment_begins_leaves_a_journal_that_opens(tmp_path):
    station = Station(tmp_path, limit=1)
    station.publish(*kit.bars(1, 5))
    with full_after(50), pytest.raises(Unavailable):
        station.recorder.step()
    station.crash()
    station.restart()
    station.turn()
    assert station.recorded() == [event.entry_id for event in kit.bars(1, 5)]
    assert station.notes("torn") == []


def test_a_segment_ends_above_its_size(tmp_path):
    station = Station(tmp_path, limit=5000, limits=Limits(batch=5))
    station.publish(*kit.bars(1, 60))
    station.turn()
    sizes = [path.stat().st_size for path in segments(tmp_path)]
    assert len(sizes) > 3
    assert all(5000 <= size < 10_000 for size in sizes[:-1])
    assert station.recorded() == [event.entry_id for event in kit.bars(1, 60)]


def test_a_writer_goes_on_behind_the_head_it_is_given(station):
    station.turn()
    station.crash()
    head = kit.open(station.folder).writer.head
    writer = SegmentWriter(station.folder, kit.CHAIN_ID, head)
    writer.append([b"{}"])
    assert kit.lines(station.folder)[-1][0] == writer.head.sequence == head.sequence + 1
    writer.close()
