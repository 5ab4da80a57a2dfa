# SPDX-License-Identifier: Apache-2.0
"""The verb behind the long tests: the status is that of what failed, and only a whole run is a figure."""

from __future__ import annotations

import json
import sys

import pytest

from tools import report
from tools.stages import __main__ as verb
from tools.stages.plan import Plan, Stage

FINE, FAIL = Stage("fine", (sys.executable, "-c", "")), Stage("fail", (sys.executable, "-c", "raise SystemExit(3)"))
PLANS = {"good": Plan("good", (FINE,), share=0), "bad": Plan("bad", (FINE, FAIL))}


@pytest.fixture(autouse=True)
def results(monkeypatch, tmp_path):
    monkeypatch.setattr(verb, "plans", lambda: PLANS)
    monkeypatch.setattr(verb, "PROJECT", tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    return tmp_path


def test_a_run_writes_its_times_and_a_slow_one_is_told_and_does_not_fail(results, capsys):
    assert verb.main(["good"]) == 0
    rows = {row["metric"]: row for row in json.loads((results / "good.json").read_text())}
    assert rows["fine"]["unit"] == "s"
    assert rows["make good"]["met"] is False
    said = capsys.readouterr()
    assert "missed: make good: 0 s" in said.err
    assert said.out.endswith("good: all passed in 0:00\n")


def test_a_run_that_fails_keeps_the_status_and_writes_nothing(results, capsys):
    assert verb.main(["bad"]) == 3
    assert list(results.iterdir()) == []
    said = capsys.readouterr().out
    assert "bad: stage `fail` failed with status 3: " in said
    assert "metric" not in said


def test_a_name_that_is_not_known_is_refused(capsys):
    with pytest.raises(SystemExit):
        verb.main(["unknown"])
    assert "good" in capsys.readouterr().err
