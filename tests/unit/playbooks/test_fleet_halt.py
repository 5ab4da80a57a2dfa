# SPDX-License-Identifier: Apache-2.0
"""The fleet's kill switch: the script as a shell runs it, and what pyinfra says of hosts that answer or do not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from station.halt import Latch

from fleet.paths import PROJECT
from playbooks.halt import command

REASON = "spread 'mad', 100% \"wrong\" $(touch trap) \\n"
# As an inventory file has them: canned answers, because these tests have no hosts.
HOSTS = """
def fake(**answer):
    return {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": {"latch": answer}}
hosts = [
    ("@fake/station", fake(stdout=["orders are denied", "station.target is stopped"])),
    ("@fake/ms01", fake(stdout=["no kill switch here", "no station.target here"])),
    ("@fake/laptop", fake(success=False, stderr=["latch: cannot be written"])),
    ("vps", {"ssh_hostname": "127.0.0.1", "ssh_port": 1}),
]
"""


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


def test_each_host_is_named_with_what_became_of_it_and_one_that_is_away_fails_the_run(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.py"
    inventory.write_text(HOSTS)
    done = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", str(inventory), "playbooks/halt.py"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    words = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    report = [line for line in words if re.match(r"\S+: (orders|no kill|FAILED|AWAY)", line)]
    assert [line.split(":")[0] for line in report] == ["@fake/ms01", "@fake/station", "@fake/laptop", "vps"]
    assert report[1] == "@fake/station: orders are denied, station.target is stopped"
    assert "FAILED" in report[2]
    assert "AWAY" in report[3]
    assert done.returncode == 1
