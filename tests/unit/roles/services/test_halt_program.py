# SPDX-License-Identifier: Apache-2.0
"""`station halt` on a host, by a shell alone: the services read what it writes, and Python is not asked."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from station.halt import Latch

from fleet.paths import PROJECT

FILES = PROJECT / "roles/services/files"
REASON = "spread 'mad', 100% \"wrong\" $(touch trap) `touch trap` \\n é"


def halt(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "SUDO_USER": "ops", **variables}
    command = ["sh", str(FILES / "halt.sh"), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "halt").mkdir()
    return tmp_path / "halt"


def test_the_services_read_who_halted_and_why_letter_by_letter(tmp_path: Path, folder: Path):
    done = halt("--reason", REASON, "--folder", str(folder), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"orders are denied: halted by ops: {REASON}\n")
    assert Latch(folder).allowed().reason == f"halted by ops: {REASON}"
    assert not list(tmp_path.rglob("trap"))


def test_each_halt_is_a_line_and_nothing_else_is_left(tmp_path: Path, folder: Path):
    (folder / "latch").write_text('{"at": 1, "by": "x", "reason": "cut"}')
    for reason in ("one\ntwo", "three"):
        assert halt(f"--reason={reason}", f"--folder={folder}", cwd=tmp_path).returncode == 0
    lines = (folder / "latch").read_text().splitlines()
    assert [re.findall(r'"reason": "(.*)"', line)[0] for line in lines] == ["cut", "one two", "three"]
    assert re.search(r'"at": \d{16},', lines[-1])
    assert [entry.name for entry in folder.iterdir()] == ["latch"]


def test_a_latch_that_cannot_be_written_is_said_with_what_to_do(tmp_path: Path):
    (tmp_path / "halt").symlink_to("/proc")
    done = halt("--folder", str(tmp_path / "halt"), cwd=tmp_path)
    assert done.returncode == 2
    assert "so orders still go out; run systemctl stop station.target" in done.stderr


def test_without_its_folder_orders_are_denied_already(tmp_path: Path):
    done = halt("--folder", str(tmp_path / "gone"), cwd=tmp_path)
    assert (done.returncode, "counts as halted" in done.stdout) == (0, True)
    assert not Latch(tmp_path / "gone").allowed().allowed


@pytest.mark.parametrize("words", [["--reasn", "x"], ["now"], ["--reason"]])
def test_words_it_does_not_know_halt_nothing_and_say_so(tmp_path: Path, folder: Path, words: list[str]):
    done = halt("--folder", str(folder), *words, cwd=tmp_path)
    assert (done.returncode, "nothing was halted" in done.stderr) == (2, True)
    assert Latch(folder).allowed().allowed
