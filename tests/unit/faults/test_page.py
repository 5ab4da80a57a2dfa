# SPDX-License-Identifier: Apache-2.0
"""The page says what was seen, and what was not run."""

from __future__ import annotations

from typing import Any

from tests.faults import page
from tests.faults.catalogue import FAULTS

FAULT = FAULTS[0]


def line(recovery: float | None = 1.0, passed: bool = True, **counts: int) -> dict[str, Any]:
    return {"recovery_s": recovery, "passed": passed, "seed": 1, "counts": {"acknowledged": 500, **counts}}


def test_a_row_sums_the_repetitions():
    history = [line(1.0), line(3.0), line(8.0)]
    assert page.row(FAULT, history) == (FAULT.title, "3", "1,500", "0", "0", "0", "3.0 s", "8.0 s", "yes")


def test_one_that_failed_is_not_hidden_by_those_that_passed():
    history = [line(), line(None, passed=False, lost=2, phantom=1, duplicates=4)]
    assert page.row(FAULT, history)[3:] == ("2", "1", "4", "1.0 s", "1.0 s", "1 of 2")


def test_what_was_lost_within_the_promise_stands_in_brackets():
    assert page.row(FAULT, [line(in_window=7)])[3] == "0 (7)"


def test_what_was_not_run_did_not_pass():
    assert page.row(FAULT, [])[1] == "0"
    assert page.row(FAULT, [])[-1] == "not run here"


def test_the_page_has_every_fault_and_what_is_not_survived():
    text = page.text([page.row(fault, []) for fault in FAULTS], [1, 1, 2], jobs=4, processors=2)
    assert all(fault.title in text for fault in FAULTS)
    assert "Seeds: 1, 2; up to 4 stations side by side on 2 processors" in text
    assert "## What is not survived" in text


def test_every_fault_has_a_name_of_its_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
