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


def test_it_is_written_while_the_service_runs(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state_file, "_EVERY_SECONDS", 0.01)
    state = StateFile(path)
    state.note((5, 6))
    deadline = time.monotonic() + 20
    while path.read_bytes() == b"" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.read_bytes().split() == [b"%020d" % 5, b"%020d" % 6]
    state.close()


def test_nothing_is_written_that_is_not_new(path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []
    monkeypatch.setattr(os, "pwrite", lambda *_: written.append(1))
    state = StateFile(path)
    state.close()
    assert written == []


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 42, b"12", b"one two", b"1 2 3", b"\xff\xff 5"])
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
