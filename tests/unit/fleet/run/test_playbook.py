# SPDX-License-Identifier: Apache-2.0
"""What a person reads after a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.paths import PROJECT
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


def frozen(*, held_back: dict[str, dict[str, int]], failed: bool = False) -> Progress:
    progress = Progress()
    for event in (
        {"event": "play", "play": "Preflight: market hours", "hosts": ["station"], "at": 0.0},
        {"event": "frozen", "host": "station", "until": "16:00", "why": "XNYS", "at": 0.0},
        *(FAILED[:-1] if failed else []),
        {"event": "play", "play": "Market hours: held back", "hosts": ["station"], "at": 3.0},
        FAILED[2] | {"host": "station", "message": "left as it is", "at": 3.0},
        {"event": "stats", "hosts": {}, "held_back": held_back, "at": 3.0},
    ):
        progress.apply(event)
    return progress


def test_a_run_that_held_changes_back_has_a_status_of_its_own_and_names_host_and_roles(
    log: Path, capsys: pytest.CaptureFixture[str]
):
    log.write_text("fatal: [station]: FAILED!\n")
    outcome = Outcome(2, frozen(held_back={"station": {"redis": 2, "ssh": 1}}), log, 3.0)
    assert outcome.status == 75
    assert printed(outcome, capsys)[-2:] == [
        "frozen station until 16:00 (XNYS): would change redis (2), ssh (1)",
        "log: site.log",
    ]


def test_a_failure_beside_it_keeps_ansibles_status(log: Path):
    assert Outcome(2, frozen(held_back={"station": {"redis": 2}}, failed=True), log, 3.0).status == 2
    assert Outcome(4, frozen(held_back={"station": {"redis": 2}}), log, 3.0).status == 4


def test_a_frozen_host_that_is_as_declared_is_named_and_the_run_is_good(log: Path, capsys: pytest.CaptureFixture[str]):
    log.write_text("")
    outcome = Outcome(0, frozen(held_back={"station": {}}), log, 3.0)
    assert outcome.status == 0
    assert "frozen station until 16:00 (XNYS): no change" in printed(outcome, capsys)


@pytest.mark.parametrize("reason", ["", " ", "\n"])
def test_an_override_without_a_reason_is_refused_before_anything_runs(reason: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as refused:
        playbook.main(["--inventory", "inventory/lab", "--override", reason, "playbooks/site.yml"])
    assert refused.value.code == 2
    assert "give a reason in words" in capsys.readouterr().err


def test_an_override_reaches_the_play_as_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    given: list[str] = []

    def run(*words: Any) -> Outcome:
        given.extend(words[2])
        return Outcome(0, Progress(), PROJECT / "x.log", 1.0)

    (tmp_path / "hosts.yml").write_text("all: {hosts: {alpha: }}\n")
    monkeypatch.setattr(playbook, "run_playbook", run)
    playbook.main(["--inventory", str(tmp_path), "--override", 'the "feed"\nis down', "playbooks/deploy.yml"])
    assert given == ["--extra-vars", '{"trading_override": "the \\"feed\\" is down"}']
