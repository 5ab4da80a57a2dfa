# SPDX-License-Identifier: Apache-2.0
"""Which repetitions are made."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import main, missing
from tests.faults.catalogue import FAULTS

ONE, OTHER = FAULTS[:2]


def test_a_run_goes_on_where_one_with_its_seed_was_interrupted() -> None:
    histories = {ONE: [{"seed": 1, "number": 1}, {"seed": 1, "number": 3}, {"seed": 2, "number": 2}]}
    assert missing(histories, 1, 4) == [(ONE, 2), (ONE, 4)]
    assert missing(histories, 3, 2) == [(ONE, 1), (ONE, 2)]
    assert missing(histories, 1, 1) == []


def test_every_fault_is_seen_once_before_one_is_seen_twice() -> None:
    assert missing({ONE: [], OTHER: []}, 1, 2) == [(ONE, 1), (OTHER, 1), (ONE, 2), (OTHER, 2)]


@pytest.mark.parametrize("option", ["--jobs", "--repeat"])
def test_nothing_of_nothing_is_refused_in_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([option, "0"])
    assert capsys.readouterr().err.endswith("error: --repeat, --jobs: at least 1\n")
