# SPDX-License-Identifier: Apache-2.0
"""What a stream through bus, chain and QuestDB came to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.performance.bus import flow
from tests.performance.bus.children import Usage
from tests.performance.bus.flow import Cost, Run, Sample

COSTS = {
    "recorder": Cost(cpu=0.4, rss=140_000_000, anonymous=100_000_000),
    "QuestDB": Cost(cpu=0.3, rss=310_000_000, anonymous=230_000_000),
}


def a_run(**changes: Any) -> Run:
    values = {
        "asked": 10_000.0,
        "rate": 9_990.0,
        "unread": 100,
        "unstored": 5_000,
        "growth": 20.0,
        "costs": COSTS,
        "others": 0.1,
    }
    return Run(**{**values, **changes})


def test_a_rate_holds_that_was_reached_and_leaves_nothing_behind():
    assert a_run().holds
    assert not a_run(rate=9_800.0).holds
    assert not a_run(growth=150.0).holds
    assert a_run(growth=-150.0).holds


def test_what_came_to_its_end_is_what_was_published_less_what_stayed_on_its_way():
    assert a_run(growth=1_500.0).taken == 8_490.0
    assert a_run(growth=-10.0).taken == 9_990.0


def test_what_is_on_its_way_at_the_start_is_no_growth():
    start = [Sample(at, 100 * at, 300 * at, 0) for at in range(10)]
    steady = [Sample(at, 100 * at, 2_000, 1_000) for at in range(10, 30)]
    assert flow.growth(start + steady) == pytest.approx(0)
    growing = [Sample(at, 100 * at, 30 * at, 20 * at) for at in range(10, 30)]
    assert flow.growth(start + growing) == pytest.approx(50)


def test_the_rate_is_of_the_time_that_was_looked_on():
    assert flow.rate_of([Sample(0.0, 500, 0, 0), Sample(4.0, 4_500, 0, 0)]) == 1_000


def test_a_process_costs_its_time_from_first_to_last_and_its_most_memory():
    usages = [{"recorder": Usage(5.0, 100, 80)}, {"recorder": Usage(6.0, 300, 90)}, {"recorder": Usage(9.0, 200, 95)}]
    assert flow.costs(usages, 10.0) == {"recorder": Cost(cpu=0.4, rss=300, anonymous=95)}


def test_rows_of_a_rate_that_holds():
    run = a_run()
    rows = {row.metric: row for row in flow.rows(300, run, run)}
    assert rows["sustained through bus, chain and QuestDB"].cells()[1:] == (
        "10,000 events/s", "", "", ">= 10,000 events/s", "yes",
    )  # fmt: skip
    assert rows["10,000 events/s for 300 s: more on their way each minute"].met is True
    assert rows["10,000 events/s for 300 s: memory, recorder"].met is True
    assert rows["10,000 events/s for 300 s: memory, QuestDB"].met is False
    assert rows["10,000 events/s for 300 s: memory, QuestDB without the files that it has mapped"].value == 230
    assert rows["10,000 events/s for 300 s: of one processor, recorder"].value == 40
    assert rows["10,000 events/s for 300 s: of one processor, everybody else"].value == 10


def test_rows_of_a_rate_that_does_not_hold_name_one_that_does():
    lacking = a_run(growth=2_000.0)
    rows = {row.metric: row for row in flow.rows(300, lacking, a_run(asked=7_500.0, rate=7_500.0))}
    sustained = rows["sustained through bus, chain and QuestDB"]
    assert (sustained.value, sustained.met) == (7_500, False)
    assert rows["10,000 events/s for 300 s: more on their way each minute"].met is False


def test_without_any_that_holds_it_is_what_came_through():
    lacking = a_run(growth=9_500.0)
    assert flow.rows(300, lacking, lacking)[0].value == 490
