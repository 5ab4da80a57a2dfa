# SPDX-License-Identifier: Apache-2.0
"""Checks of hosts and roles as they go, and what is told of them at the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.run.checks import STATES, Check, Standing, by_host, summary, told

PLAN = {"event": "plan", "checks": [["vps", "base", 2], ["vps", "ssh", 1], ["station", "base", 1]]}


def start(host: str, role: str, at: float) -> dict[str, Any]:
    return {"event": "start", "host": host, "role": role, "at": at}


def ended(host: str, role: str, state: str = "passed", seconds: float = 1.0) -> dict[str, Any]:
    words = {"name": "it holds", "state": state, "message": "" if state == "passed" else "why"}
    return {"event": "check", "host": host, "role": role, "seconds": seconds, **words}


def after(*events: dict[str, Any]) -> tuple[Standing, list[str]]:
    standing = Standing()
    return standing, [line for event in events for line in standing.take(event)]


def test_a_role_of_a_host_is_a_line_with_its_time_once_all_its_checks_are_done():
    _, lines = after(PLAN, ended("vps", "base"), ended("vps", "base", "failed", 2.4), ended("station", "base"))
    assert [line.split() for line in lines] == [
        ["vps", "base", "1", "passed,", "1", "failed,", "3", "s"],
        ["station", "base", "1", "passed,", "1", "s"],
    ]


def test_a_host_that_is_away_has_no_line_for_each_role():
    standing, lines = after(PLAN, ended("vps", "ssh", "not checked"), ended("station", "base"))
    assert [line.split()[0] for line in lines] == ["station"]
    assert (standing.away("vps"), standing.away("station"), standing.away("laptop")) == (True, False, False)


def test_a_cell_counts_while_its_checks_run_and_its_time_goes_on():
    standing, _ = after(PLAN, start("vps", "base", 10.0), ended("vps", "base"), start("vps", "base", 12.0))
    assert standing.cell("vps", "base", now=15.0) == "1 of 2, 5 s"
    assert standing.cell("vps", "ssh", now=15.0) == "0 of 1"
    assert standing.cell("station", "ssh", now=15.0) == ""


def test_at_the_end_a_cell_is_its_summary():
    standing, _ = after(PLAN, ended("vps", "ssh", "skipped"))
    assert standing.cell("vps", "ssh", now=0.0) == "1 skipped"


def test_each_host_gets_its_own_summary():
    checks = [Check("base", "vps", "x", state) for state in ("passed", "failed")]
    checks.append(Check("base", "station", "x", "passed"))
    assert by_host(checks) == {"vps": "1 passed, 1 failed", "station": "1 passed"}


def test_nothing_checked_is_said_and_not_called_passed():
    assert summary([]) == "none"


@given(st.lists(st.sampled_from(STATES), min_size=1))
def test_the_numbers_of_a_summary_add_up_to_all_checks(states: list[str]):
    words = summary(Check("base", "vps", "test", state) for state in states).split(", ")
    assert sum(int(word.split()[0]) for word in words) == len(states)


def test_a_failed_check_is_a_line_with_host_role_sentence_and_reason():
    (line,) = told([Check("ssh", "vps", "root is refused", "failed", "declared no, found yes")])
    assert line == ("failed", "vps, ssh: root is refused: declared no, found yes")


def test_a_host_that_is_away_is_one_line_whatever_was_to_be_checked():
    away = [Check(role, "vps", "x", "not checked", "vps cannot be reached") for role in ("base", "base", "ssh")]
    other = Check("anchor", "station", "the peer answers", "not checked", "vps cannot be reached")
    assert list(told([*away, other])) == [
        ("not checked", "vps cannot be reached (3 checks of vps, 1 check of station)")
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [(["a"], "vps, ssh: a: no card"), (["a", "b"], "no card (2 checks of vps)")],
)
def test_what_one_reason_skips_is_one_line(names, words):
    checks = [Check("ssh", "vps", name, "skipped", "no card") for name in names]
    assert list(told(checks)) == [("skipped", words)]
