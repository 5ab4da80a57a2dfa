# SPDX-License-Identifier: Apache-2.0
"""Which repetitions are made."""

from __future__ import annotations

from fleet.faults.__main__ import missing


def test_a_run_goes_on_where_one_with_its_seed_was_interrupted() -> None:
    history = [{"seed": 1, "number": 1}, {"seed": 1, "number": 3}, {"seed": 2, "number": 2}]
    assert missing(history, 1, 4) == [2, 4]
    assert missing(history, 3, 2) == [1, 2]
    assert missing(history, 1, 1) == []
