# SPDX-License-Identifier: Apache-2.0
"""What a person reads after a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.run import playbook
from fleet.run.playbook import Outcome
from fleet.run.progress import Progress

FAILED = [
    {"event": "play", "play": "Base", "hosts": ["vps", "laptop"], "at": 0.0},
    {"event": "ok", "host": "laptop", "task": "Install", "at": 2.0, "changed": True, "message": ""},
    {
        "event": "failed",
        "host": "vps",
        "task": "Install",
        "at": 2.0,
        "changed": False,
        "message": "disk full [/srv/x]\n",
    },
    {"event": "stats", "hosts": {}, "held_back": {}, "at": 3.0},
]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(playbook, "PROJECT", tmp_path)
    return tmp_path / "site.log"


def printed(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> list[str]:
    playbook.report(outcome)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_run_that_ended_before_any_task_shows_ansibles_own_errors(log: Path, capsys: pytest.CaptureFixture[str]):
    log.write_text("PLAY [Base] ***\n[ERROR]: the role 'bsae' was not found\nOrigin: playbooks/base.yml:7\n")
    lines = printed(Outcome(1, Progress(), log, 0.5), capsys)
    assert lines[-2:] == ["[ERROR]: the role 'bsae' was not found", "log: site.log"]


def test_a_run_that_ended_without_a_word_of_error_shows_its_last_lines(log: Path, capsys: pytest.CaptureFixture[str]):
    log.write_text("one\ntwo\nthree\nfour\n")
    assert printed(Outcome(250, Progress(), log, 0.5), capsys)[-4:] == ["two", "three", "four", "log: site.log"]


def test_a_failure_is_one_line_with_host_layer_task_and_message(log: Path, capsys: pytest.CaptureFixture[str]):
    log.write_text("fatal: [vps]: FAILED!\n")
    progress = Progress()
    for event in FAILED:
        progress.apply(event)
    lines = printed(Outcome(2, progress, log, 3.0), capsys)
    assert lines[0].split() == ["host", "base"]
    assert lines[1].split(maxsplit=1) == ["vps", "failed"]
    assert lines[2].split(maxsplit=1) == ["laptop", "ok 2 s, 1 changed"]
    assert lines[3:] == ["failed vps, base: Install: disk full [/srv/x]", "log: site.log"]
