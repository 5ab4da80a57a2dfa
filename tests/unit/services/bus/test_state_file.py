# SPDX-License-Identifier: Apache-2.0
"""What a producer remembers, and that only one process does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from station.bus import state_file
from station.bus.state_file import StateFile
from station.errors import StationError
from structlog.testing import capture_logs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "replay"


def test_what_was_noted_last_is_known_at_the_next_start(path: Path):
    first = StateFile(path)
    assert first.before is None
    first.note((1_700_000_000_000, 41))
    first.note((1_700_000_000_000, 42))
    first.close()
    second = StateFile(path)
    assert second.before == (1_700_000_000_000, 42)
    second.close()


def test_it_reaches_the_disk_while_the_service_runs(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_file, "_EVERY_SECONDS", 0.01)
    state = StateFile(path)
    fdatasync = os.fdatasync
    synced: list[None] = []
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(fdatasync(file)))
    state.note((5, 6))
    deadline = time.monotonic() + 20
    while synced == [] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.read_bytes().split()[:2] == [b"%020d" % 5, b"%020d" % 6]
    state.close()


def test_what_was_noted_is_with_the_kernel_at_once_for_a_process_that_is_killed(path: Path):
    state = StateFile(path)
    state.note((5, 6))
    assert path.read_bytes().split()[:2] == [b"%020d" % 5, b"%020d" % 6]
    state.close()


def left_by_a_crash(path: Path, note: tuple[int, int] | None = None) -> bytes:
    """Return the file of a run that did not end."""
    state = StateFile(path)
    if note:
        state.note(note)
    left = path.read_bytes()
    state.close()
    return left


@pytest.mark.parametrize("note", [(7, 8), None])
def test_a_run_that_a_power_cut_ended_is_told_from_one_that_ended_in_order_however_short_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, note: tuple[int, int] | None
):
    monkeypatch.setenv(state_file.BOOT, "first")
    crashed, ended = left_by_a_crash(path, note), path.read_bytes()
    for boot, left, lost in [("first", crashed, False), ("second", crashed, True), ("second", ended, False)]:
        monkeypatch.setenv(state_file.BOOT, boot)
        path.write_bytes(left)
        state = StateFile(path)
        assert (state.before, state.power_lost) == (note or (0, 0), lost)
        state.close()


def test_that_power_was_lost_is_known_until_it_was_published(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(state_file.BOOT, "first")
    path.write_bytes(left_by_a_crash(path, (7, 8)))
    monkeypatch.setenv(state_file.BOOT, "second")
    for _ in range(2):  # stopped before the bus answered
        state = StateFile(path)
        assert state.power_lost
        state.close()
    state = StateFile(path)
    state.note((9, 1))
    state.close()
    again = StateFile(path)
    assert (again.before, again.power_lost) == ((9, 1), False)
    again.close()


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 78, b"12", b"one two three", b"1 2", b"1 2 3 4", b"\xff\xff 5 x"])
def test_a_file_that_says_nothing_is_no_memory(path: Path, rubbish: bytes):
    path.write_bytes(rubbish)
    state = StateFile(path)
    assert state.before is None
    state.note((7, 8))
    state.close()
    again = StateFile(path)
    assert again.before == (7, 8)
    again.close()


def test_a_second_process_under_the_same_name_is_refused(path: Path):
    state = StateFile(path)
    script = "import pathlib, sys; from station.bus import state_file; state_file.StateFile(pathlib.Path(sys.argv[1]))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False, env=environment
    )
    assert "another process publishes as this service" in done.stderr
    state.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(StationError, match=r"cannot keep .*/gone/replay: No such file or directory"):
        StateFile(tmp_path / "gone" / "replay")


def test_a_full_disk_is_told_and_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_file, "_EVERY_SECONDS", 0.01)
    pwrite = os.pwrite
    refused: list[bytes] = []

    def full(file: int, data: bytes, offset: int) -> int:
        if not refused:
            refused.append(data)
            raise OSError(28, "No space left on device")
        return pwrite(file, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    with capture_logs() as logs:
        state = StateFile(path)
        state.note((1, 2))
        deadline = time.monotonic() + 20
        while not refused and time.monotonic() < deadline:
            time.sleep(0.01)
        state.close()
    assert [line["reason"] for line in logs] == ["No space left on device"]
    again = StateFile(path)
    assert again.before == (1, 2)
    again.close()
