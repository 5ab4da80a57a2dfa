# SPDX-License-Identifier: Apache-2.0
"""The script that halts one host, as a shell runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from station.halt import Latch

from fleet.halt.script import command

REASON = "spread 'mad', 100% \"wrong\" $(touch trap) \\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "halt").mkdir()
    return tmp_path / "halt"


def run(script: str, tmp_path: Path, systemctl: str = "exit 0") -> subprocess.CompletedProcess[str]:
    """Run a script as sh does, with a systemctl that notes its words."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    fake = tools / "systemctl"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{systemctl}\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def test_the_services_read_the_latch_that_the_script_writes(tmp_path: Path, folder: Path) -> None:
    done = run(command(REASON, "ops", str(folder)), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "orders are denied\nstation.target is stopped\n", "")
    assert Latch(folder).allowed().reason == f"halted by ops: {REASON}"
    assert calls(tmp_path) == ["cat station.target", "stop station.target"]
    assert not (tmp_path / "trap").exists()


def test_its_time_is_in_microseconds_as_the_services_write_it(tmp_path: Path, folder: Path) -> None:
    run(command("drill", "ops", str(folder)), tmp_path)
    (line,) = (folder / "latch").read_text().splitlines()
    assert re.fullmatch(r"\d{16}", str(json.loads(line)["at"]))


def test_halting_twice_keeps_both_reasons_and_leaves_no_scrap(tmp_path: Path, folder: Path) -> None:
    for reason in ("first", "second"):
        assert run(command(reason, "ops", str(folder)), tmp_path).returncode == 0
    lines = (folder / "latch").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["first", "second"]
    assert [entry.name for entry in folder.iterdir()] == ["latch"]


def test_a_host_without_services_is_left_as_it_is(tmp_path: Path) -> None:
    script = command("drill", "ops", str(tmp_path / "gone"))
    done = run(script, tmp_path, systemctl="exit 1")
    assert (done.returncode, done.stdout) == (0, "no kill switch here\nno station.target here\n")
    assert not (tmp_path / "gone").exists()


def test_services_are_stopped_also_where_the_latch_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "halt").symlink_to("/proc")
    done = run(command("drill", "ops", str(tmp_path / "halt")), tmp_path)
    assert done.returncode == 1
    assert "latch: cannot be written" in done.stderr
    assert calls(tmp_path)[-1] == "stop station.target"


def test_services_that_do_not_stop_are_a_failure_and_the_latch_stands(tmp_path: Path, folder: Path) -> None:
    script = command("drill", "ops", str(folder))
    done = run(script, tmp_path, systemctl='[ "$1" = cat ]')
    assert done.returncode == 1
    assert not Latch(folder).allowed().allowed


def test_the_script_calls_no_python() -> None:
    assert "python" not in command("drill", "ops")
