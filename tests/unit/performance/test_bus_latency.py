# SPDX-License-Identifier: Apache-2.0
"""Times from publishing to consuming."""

from __future__ import annotations

import pytest

from tests.performance.bus import latency
from tests.performance.bus.latency import RATE, Round


def test_the_first_second_does_not_count():
    number = RATE + 101
    sent = [number * 1_000_000 for number in range(number)]
    slow = [time + 50_000_000 for time in sent[:RATE]]
    taken = slow + [time + 1000 * extra for extra, time in enumerate(sent[RATE:], 200)]
    found = latency.summary(sent, taken)
    assert [found.p50, found.p99] == pytest.approx([250, 299])


def test_the_rows_are_medians_of_rounds_against_those_of_the_bare_client():
    ours = [Round(300, 900), Round(330, 9_000), Round(320, 1_000)]
    bare = [Round(300, 800), Round(250, 700), Round(400, 20_000)]
    p50, p99, worst = latency.rows(ours, bare)
    assert (p50.value, p50.baseline, p50.met) == (320, 300, True)
    assert (p99.value, p99.baseline, p99.met) == (1_000, 800, True)
    assert (worst.value, worst.baseline, worst.met) == (9_000, 20_000, None)


def test_a_slow_bus_misses_both_goals():
    p50, p99, _ = latency.rows([Round(400, 5_000)], [Round(300, 9_000)])
    assert (p50.met, p99.met) == (False, False)
