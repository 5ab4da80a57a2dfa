# SPDX-License-Identifier: Apache-2.0
"""Figures with their goals, as rows, as a table and as a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import report
from tools.report import Goal, Row, Section, row

POSITIVE = st.floats(0.001, 1e6)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path / "bench")
    return tmp_path / "bench"


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_a_goal_is_met_only_if_all_of_it_is(value: float, baseline: float, below: float, ratio: float):
    one = row("run", value, "s", baseline, Goal(below=below, ratio=ratio))
    assert one.met is (value < below and value / baseline <= ratio)


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_so_is_one_for_a_figure_that_shall_be_great(value: float, baseline: float, above: float, ratio: float):
    one = row("rate", value, "rows/s", baseline, Goal(above=above, ratio_above=ratio))
    assert one.met is (value >= above and value / baseline >= ratio)


def test_a_ratio_without_a_baseline_is_not_met():
    assert row("run", 1, "s", goal=Goal(ratio=0.2)).met is False
    assert row("rate", 1, "rows/s", goal=Goal(ratio_above=0.2)).met is False


def test_a_figure_without_a_goal_is_neither_met_nor_missed():
    assert row("run", 12.5, "s", 50).cells() == ("run", "12.5 s", "50 s", "0.25", "", "")


def test_a_goal_is_said_in_words():
    cells = row("run", 61.26, "s", 1310, Goal(below=60, ratio=0.2)).cells()
    assert cells == ("run", "61.3 s", "1,310 s", "0.05", "< 60 s, ratio <= 0.2", "no")
    cells = row("rate", 180_000, "rows/s", 200_000, Goal(above=200_000, ratio_above=0.8)).cells()
    assert cells == ("rate", "180,000 rows/s", "200,000 rows/s", "0.90", ">= 200,000 rows/s, ratio >= 0.8", "no")


def test_missed_goals_are_said_and_make_the_status(capsys: pytest.CaptureFixture[str]):
    fast, slow = row("run", 50, "s", goal=Goal(below=60)), row("run", 61.26, "s", goal=Goal(below=60))
    assert report.missed([fast, row("hosts", 6, "")]) == 0
    assert report.missed([fast, slow]) == 1
    assert capsys.readouterr().err == "missed: run: 61.3 s, goal < 60 s\n"


def test_the_file_is_a_list_of_rows_and_reads_back_equal(results: Path):
    rows = [row("run", 1.5, "s", 3, Goal(below=60)), Row("hosts", 6, "hosts")]
    file = report.write("site", rows)
    content = json.loads(file.read_text())
    assert file == results / "site.json"
    assert list(content[0]) == ["metric", "value", "unit", "baseline", "ratio", "goal", "met"]
    assert report.read("site") == rows


@pytest.mark.usefixtures("results")
def test_the_page_has_what_was_measured_here_and_keeps_what_was_measured_elsewhere():
    sections = [Section(name, name.capitalize(), f"make bench-{name}", "How.") for name in ("site", "lab", "bus")]
    report.write("site", [row("no-op | run", 1.5, "s")])
    report.write("lab", [row("lab", 9, "s")])
    old = report.page(sections)
    (report.RESULTS / "lab.json").unlink()
    report.write("site", [row("no-op | run", 2.5, "s")])
    page = report.page(sections, old)
    assert "## Site\n\nHow.\n\nAgain: `make bench-site`\n\n| Metric | Value |" in page
    assert page == old.replace("1.5 s", "2.5 s")
    assert "## Lab" in page
    assert "## Bus" not in page
    assert report.page(sections[:1], old) == page[: page.index("\n## Lab")]
