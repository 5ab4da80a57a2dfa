# SPDX-License-Identifier: Apache-2.0
"""The command: wrong calls, what it leaves in the host's folder, and its exit statuses."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fleet.latency import __main__ as command
from fleet.latency.comparison import Status
from fleet.run import playbook
from fleet.run.progress import Progress

SAMPLES = Path(__file__).parent / "samples"
INVENTORY = "all: {hosts: {ms01: , station: , mac: }, children: {macs: {hosts: {mac: }}, hft: {hosts: {ms01: }}}}"


@pytest.fixture
def inventory(tmp_path):
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text(INVENTORY)
    return folder


def raw(slower=1, host="ms01", status="ok", isolated="2,3") -> dict[str, Any]:
    text = json.loads((SAMPLES / "cyclictest-2.4.json").read_text())
    for thread in text["thread"].values():
        thread["histogram"] = {str(int(value) * slower): count for value, count in thread["histogram"].items()}
        thread["max"] *= slower
    step = {"test": "cyclictest", "cpus": "isolated", "cpu_list": "2,3", "command": "cyclictest", "target": ""}
    names = ("operating_system", "kernel_version", "command_line", "left_empty", "housekeeping", "nohz_full")
    facts = dict.fromkeys((*names, "governor", "idle_driver"), "")
    known = {"host": host, "virtualization": "none", "cpu_model": "i9", "kernel": "6.12", "tools": {}}
    return {
        "schema": 1,
        "time": "2026-01-01T00:00:00Z",
        "took_seconds": 9,
        "seconds": 60,
        "repetitions": 1,
        "load": f"stress-ng, {isolated} left out",
        "facts": facts | known | {"isolated": isolated},
        "steps": [{"step": step, "outcome": {"status": status, "reason": "planted", "result": json.dumps(text)}}],
    }


@pytest.fixture
def measured(tmp_path, monkeypatch, inventory):
    """Return a function that runs the command against a play that leaves a given raw result."""
    monkeypatch.setattr(command, "RESULTS", tmp_path / "latency")
    monkeypatch.setattr(command, "PROJECT", tmp_path)
    monkeypatch.setattr(playbook, "report", lambda _: None)
    runs = iter(range(100))

    def call(values, *words):
        monkeypatch.setattr(time, "strftime", lambda *_: f"run{next(runs)}")

        def play(_name, _inventory, extra, _verbose):
            told = json.loads(extra[extra.index("--extra-vars") + 1])
            folder = Path(told["latency_run_results"], "ms01", told["latency_run"])
            folder.mkdir(parents=True)
            if values is not None:
                (folder / "raw.json").write_text(json.dumps(values))
            return playbook.Outcome(0, Progress(), tmp_path / "log", 1.0)

        monkeypatch.setattr(playbook, "run_playbook", play)
        return command.main(["--inventory", str(inventory), "--limit", "ms01", *words])

    return call


def test_the_first_run_leaves_a_result_and_a_page(measured, tmp_path):
    assert measured(raw()) == Status.FINE
    folder = next((tmp_path / "latency" / "ms01").iterdir())
    assert json.loads((folder / "result.json").read_text())["status"] == 0
    assert "Latency of ms01" in (folder / "index.html").read_text()
    assert not (tmp_path / "latency" / "ms01" / "baseline.json").exists()


def test_a_slower_run_than_the_baseline_is_status_3(measured):
    assert measured(raw(), "--set-baseline") == Status.FINE
    assert measured(raw()) == Status.FINE
    assert measured(raw(slower=3)) == 3


def test_a_run_without_the_isolation_of_the_baseline_is_status_1_until_it_is_the_baseline(measured, capsys):
    measured(raw(), "--set-baseline")
    assert measured(raw(isolated="")) == Status.NOT_MEASURED
    assert "2-3 were isolated in the baseline, none are now" in capsys.readouterr().out.replace("\n", " ")
    assert measured(raw(isolated=""), "--set-baseline") == Status.FINE
    assert measured(raw(isolated="")) == Status.FINE


def test_a_new_baseline_forgives_what_was_worse(measured):
    measured(raw(), "--set-baseline")
    assert measured(raw(slower=3), "--set-baseline") == Status.FINE
    assert measured(raw(slower=3)) == Status.FINE


def test_a_run_with_a_failed_test_becomes_no_baseline(measured, tmp_path):
    assert measured(raw(status="failed"), "--set-baseline") == 1
    assert not (tmp_path / "latency" / "ms01" / "baseline.json").exists()


def test_a_host_that_gave_nothing_is_status_1(measured, capsys):
    assert measured(None) == 1
    assert "ms01: Not measured" in capsys.readouterr().out


def test_a_broken_baseline_is_named_and_kept(measured, tmp_path, capsys):
    file = tmp_path / "latency" / "ms01" / "baseline.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert measured(raw()) == 1
    assert "baseline.json is no result" in capsys.readouterr().out.replace("\n", "")
    assert file.read_text() == "{"


def test_the_baseline_of_another_host_judges_nothing(measured, capsys):
    measured(raw(host="station"), "--set-baseline")
    assert measured(raw(slower=3)) == Status.FINE
    assert "compared with itself only" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--limit", "ms01", "--seconds", "5"], "12 to"),
        (["--limit", "nobody"], "nobody is no host or group"),
        (["--limit", "ms01", "--peer", "nobody"], "the peer nobody is no host"),
        (["--limit", "ms01", "--peer", "ms01"], "its own peer"),
        (["--limit", "mac"], "the tools need Linux"),
        (["--limit", "ms01", "--peer", "mac"], "the tools need Linux"),
        (["--limit", "~nobody.*"], "is no host or group"),
        ([], "--limit"),
    ],
)
def test_a_wrong_call_is_status_2_and_says_why(inventory, capsys, words, why):
    with pytest.raises(SystemExit) as stopped:
        command.main(["--inventory", str(inventory), *words])
    assert stopped.value.code == Status.WRONG_CALL
    assert why in capsys.readouterr().err


def test_a_group_is_its_hosts_without_the_peer(inventory):
    assert command.chosen(inventory, "hft", "") == ["ms01"]
    assert command.chosen(inventory, "ms01,station", "station") == ["ms01"]
