# SPDX-License-Identifier: Apache-2.0
"""The figures of the kill switch: medians, beside plain ssh of the same run."""

from __future__ import annotations

from tests.performance import halt


def test_the_whole_is_compared_with_plain_ssh_and_the_latch_has_a_row_of_its_own():
    rows = {row.metric: row for row in halt.rows([4.0, 2.0, 3.0], [0.9, 1.0, 1.1], [4.0, 4.5, 9.0], 0.1)}
    whole = rows["make halt, until all hosts are halted or given up"]
    assert (whole.value, whole.baseline, whole.ratio, whole.met) == (4.5, 3.0, 1.5, True)
    assert rows["make halt, until the last latch is there"].value == 1.0


def test_a_whole_that_takes_longer_than_half_as_much_again_misses_its_goal():
    assert halt.rows([1.0], [1.0], [1.6], 0.1)[1].met is False
