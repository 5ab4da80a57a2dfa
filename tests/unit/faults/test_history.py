# SPDX-License-Identifier: Apache-2.0
"""The judge sees each way in which a promise can be broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.history import Count, Journal, Promise, Repetition, count
from tests.faults.probe import Notes, Tried

SECOND = 1_000_000
PROMISE = Promise(
    tried={
        1: Tried("7-2", 1 * SECOND, 1 * SECOND + 5),
        2: Tried("7-3", 2 * SECOND, 2 * SECOND + 5),
        3: Tried("7-4", 3 * SECOND),
    },
    bars=[100, 200, 300],
    strengths=[1, -1],
    durable=["a", "b"],
)


def journal() -> Journal:
    return Journal(
        entries=[("strat:probe", "7-1"), ("strat:probe", "7-2"), ("strat:probe", "7-3"), ("md:feed", "7-1")],
        numbers=[(1, "7-2"), (2, "7-3")],
        bars=[100, 200, 300],
        signals=[("feed/7-1", 1), ("feed/7-2", -1)],
        hashes=["a", "b", "c"],
    )


def test_what_was_promised_and_no_more_passes():
    assert count(PROMISE, journal()) == Count(2, 0, 0, [], [], [], [])


def test_what_was_in_doubt_may_be_there():
    found = journal()
    found.numbers.append((3, "7-4"))
    assert not count(PROMISE, found).problems()


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda found: found.numbers.remove((2, "7-3")), ["event 2 (7-3)"]),
        (lambda found: found.bars.remove(200), ["bar 200"]),
        (lambda found: found.signals.pop(), ["signal -1"]),
        (lambda found: found.hashes.__setitem__(1, "x"), ["record 2"]),
        (lambda found: found.hashes.__delitem__(slice(1, None)), ["record 2"]),
    ],
)
def test_a_loss_is_seen(change, lost):
    found = journal()
    change(found)
    assert count(PROMISE, found).lost == lost


@pytest.mark.parametrize(
    ("change", "phantom"),
    [
        (lambda found: found.numbers.append((4, "7-5")), ["event 4 (7-5)"]),
        (lambda found: found.numbers.append((3, "7-9")), ["event 3 (7-9)"]),
        (lambda found: found.bars.append(400), ["bar 400"]),
        (lambda found: found.signals.append(("feed/7-3", 1)), ["signal 3 (1)"]),
        (lambda found: found.signals.__setitem__(1, ("feed/7-2", 0)), ["signal 2 (0)"]),
    ],
)
def test_what_nobody_sent_is_seen(change, phantom):
    found = journal()
    change(found)
    assert count(PROMISE, found).phantom == phantom


@pytest.mark.parametrize(
    ("change", "twice"),
    [
        (lambda found: found.entries.append(("strat:probe", "7-2")), ["strat:probe 7-2"]),
        (lambda found: found.numbers.append((1, "7-2")), ["event 1"]),
        (lambda found: found.bars.append(100), ["bar 100"]),
        (lambda found: found.signals.insert(1, ("feed/7-1", -1)), ["answer to feed/7-1"]),
    ],
)
def test_what_is_there_twice_is_seen(change, twice):
    found = journal()
    change(found)
    assert count(PROMISE, found).duplicates == twice


def test_at_a_power_cut_the_last_moments_may_be_lost_if_that_is_noted():
    promise = replace(PROMISE, window_us=SECOND, cut_us=2 * SECOND + 10)
    found = journal()
    found.numbers.remove((2, "7-3"))
    counted = count(promise, found)
    assert (counted.in_window, counted.lost, counted.unnoticed) == (1, [], ["event 2 (7-3)"])
    for last in (9, None):
        found.gaps[:] = [("strat:probe", 7, 3, last)]
        assert not count(promise, found).problems()


def test_what_was_confirmed_before_those_moments_is_lost():
    promise = replace(PROMISE, window_us=SECOND, cut_us=2 * SECOND + 10)
    found = journal()
    found.numbers.remove((1, "7-2"))
    assert count(promise, found).lost == ["event 1 (7-2)"]


@pytest.mark.parametrize(
    "gap", [("strat:probe", 8, 3, 9), ("strat:probe", 7, 4, None), ("strat:probe", 7, 4, 9), ("md:feed", 7, 3, 9)]
)
def test_a_gap_that_is_elsewhere_excuses_nothing(gap):
    promise = replace(PROMISE, window_us=SECOND, cut_us=2 * SECOND + 10)
    found = replace(journal(), gaps=[gap])
    found.numbers.remove((2, "7-3"))
    assert count(promise, found).unnoticed


def test_what_a_bus_forgot_may_be_said_again_but_no_entry_is_there_twice():
    promise = replace(PROMISE, window_us=SECOND, cut_us=2 * SECOND + 10)
    found = journal()
    found.bars.append(300)
    found.signals.append(("feed/7-2", -1))
    counted = count(promise, found)
    assert (counted.repeated, counted.problems()) == (2, [])
    found.entries.append(("md:feed", "7-1"))
    assert count(promise, found).duplicates == ["md:feed 7-1"]


def test_a_problem_names_some_of_many():
    counted = Count(9, 0, 0, [f"bar {number}" for number in range(9)], [], [], [])
    assert counted.problems() == ["9 lost: bar 0, bar 1, bar 2, bar 3, bar 4, ..."]


def test_a_repetition_passes_without_problems_only():
    made = Repetition("kill-redis", 1, 1, {}, {}, 1.0, "", [])
    assert made.as_json()["passed"] is True
    assert replace(made, problems=["no new event is stored"]).as_json()["passed"] is False


def test_notes_tell_what_was_confirmed_from_what_is_in_doubt():
    notes = Notes()
    notes.add(["T 1 7-2 100", "A 1 105", "T 2 7-3 110"])
    assert notes.tried == {1: Tried("7-2", 100, 105), 2: Tried("7-3", 110)}
    assert list(notes.confirmed) == [1]
