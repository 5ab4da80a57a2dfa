# SPDX-License-Identifier: Apache-2.0
"""The command: what it keeps, and what it says when there is no figure."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import UserError
from tests.performance.bus import __main__ as bench
from tools import report
from tools.pages import performance
from tools.report import Goal, row


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "bench")
    monkeypatch.setattr(performance, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(bench, "PROJECT", tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield tmp_path
    for number, handler in before.items():
        signal.signal(number, handler)


def measured(monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    def measure(_options: object) -> Any:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(bench, "_measure", measure)


def test_all_figures_are_kept_and_the_page_is_written(results: Path, monkeypatch: pytest.MonkeyPatch):
    measured(monkeypatch, [row("p99", 900, "µs", goal=Goal(below=5000))])
    assert bench.main([]) == 0
    assert [one.metric for one in report.read("bus")][:2] == ["p99", "processors"]
    assert "## The bus and the journal" in (results / "performance.md").read_text()


def test_a_missed_goal_is_said_and_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    measured(monkeypatch, [row("p99", 9_000, "µs", goal=Goal(below=5000))])
    assert bench.main([]) == 1
    assert "missed: p99: 9,000 µs, goal < 5000 µs" in capsys.readouterr().err
    assert report.read("bus")[0].met is False


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("no apt here"), (1, "bench-bus: no apt here")),
        (RuntimeError("QuestDB starts: it ended"), (1, "bench-bus: QuestDB starts: it ended")),
        (KeyboardInterrupt(), (130, "bench-bus: interrupted; nothing is left running, nothing is written")),
    ],
)
def test_without_figures_it_says_why_and_keeps_nothing(
    error: BaseException,
    said: tuple[int, str],
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    measured(monkeypatch, error)
    assert (bench.main([]), capsys.readouterr().err.splitlines()[-1]) == said
    assert list(results.iterdir()) == []


def test_sigterm_is_an_interruption_so_that_everything_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "_measure", lambda _: signal.raise_signal(signal.SIGTERM))
    assert bench.main([]) == 130
