# SPDX-License-Identifier: Apache-2.0
"""What a person reads after a run."""

from __future__ import annotations

from collections.abc import Callable
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


def changed(*, hosts: int = 1, failed: bool = False) -> Progress:
    """Return a run in which a task changes, or would change, some hosts, and another one fails after it."""
    names = ["vps", "laptop"]
    event = {"event": "ok", "task": "ssh : Write", "at": 1.0, "changed": True, "files": ["/etc/ssh/x", *"abcdefgh"]}
    event |= {"diff": "--- before\n+++ after\n-old [red]\n+new\n"}
    progress = Progress()
    progress.apply({"event": "play", "play": "Base", "hosts": names, "at": 0.0})
    for name in names:
        progress.apply(event | {"host": name, "changed": name in names[:hosts]})
    if failed:
        progress.apply(FAILED[2])
    counts = {name: {"changed": int(name in names[:hosts])} for name in names}
    progress.apply({"event": "stats", "hosts": counts, "held_back": {}, "at": 3.0})
    return progress


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log: Path) -> Callable[..., int]:
    """Return a function that plays a verb whose run came to something."""

    def run(progress: Progress, *words: str, status: int = 0) -> int:
        monkeypatch.setattr(playbook, "run_playbook", lambda *_: Outcome(status, progress, log, 1.0))
        return playbook.main(["--inventory", str(tmp_path), "playbooks/site.yml", *words])

    log.write_text("fatal: [vps]: FAILED!\n")
    (tmp_path / "hosts.yml").write_text("all: {hosts: {vps: }}\n")
    return run


CHECK, DRIFT = ("--check", "--diff"), ("--check", "--expect-no-change")


def test_check_says_what_would_change_where_and_how(verb: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    assert verb(changed(hosts=2), *CHECK) == 0
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("would change vps, laptop, base: ssh: Write: /etc/ssh/x, a, b, c, d, e, 3 more")
    assert lines[first + 1 :] == ["--- before", "+++ after", "-old [red]", "+new", "next: `make site` applies it"]


def test_drift_names_hosts_tasks_and_files_and_no_differences(
    verb: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    assert verb(changed(), *DRIFT) == 1
    said = capsys.readouterr()
    assert "would change vps, base: ssh: Write: /etc/ssh/x" in said.out
    assert "+new" not in said.out
    assert said.err == "not as declared: vps\n"
    assert said.out.splitlines()[-1].startswith("next: `make check` shows")


@pytest.mark.parametrize("words", [CHECK, DRIFT])
def test_where_nothing_would_change_nothing_is_to_be_done(
    verb: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
):
    assert verb(changed(hosts=0), *words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: nothing, the hosts are as declared"


@pytest.mark.parametrize(
    ("hosts", "words", "kept"),
    [(1, (), "what is done stays done"), (0, (), "nothing was changed"), (1, CHECK, "nothing was changed")],
)
def test_a_run_that_failed_says_whether_anything_was_done(
    verb: Callable[..., int], capsys: pytest.CaptureFixture[str], hosts: int, words: tuple[str, ...], kept: str
):
    assert verb(changed(hosts=hosts, failed=True), *words, status=2) == 2
    assert capsys.readouterr().out.splitlines()[-1] == f"next: mend what is named above and run it again; {kept}"


def test_a_host_that_is_away_is_one_line_with_its_address(log: Path, capsys: pytest.CaptureFixture[str]):
    log.write_text("fatal: [vps]: UNREACHABLE!\n")
    progress = Progress()
    away = {"host": "vps", "task": "Gather facts", "at": 9.0, "changed": False, "address": "10.0.0.9 port 22"}
    for event in (
        FAILED[0],
        away | {"event": "unreachable", "message": "Task failed: Connection timed out."},
        {"event": "play", "play": "Data", "hosts": ["vps"], "at": 9.0},
        FAILED[-1],
    ):
        progress.apply(event)
    lines = [line for line in printed(Outcome(4, progress, log, 9.0), capsys) if "timed out" in line]
    assert lines == ["unreachable vps (10.0.0.9 port 22), base: Gather facts: Connection timed out."]
