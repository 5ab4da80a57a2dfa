# SPDX-License-Identifier: Apache-2.0
"""Heads: what is a repetition, what contradicts, what is missing, and what is still to be acknowledged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station import codec
from station.journal.heads import UNSAID, Before, Gap, Heads, Unacknowledged, gaps, previous_of

from tests.unit.services.journal import journal_kit as kit

RUNS = st.lists(st.integers(0, 12), min_size=1, max_size=4)  # events of each run
S = "md:a"


def test_an_entry_is_new_once():
    heads = Heads()
    assert heads.judge(S, (5, 1), b"x") == "new"
    heads.add(S, (5, 1), b"x")
    assert heads.judge(S, (5, 1), b"x") == "repeated"
    assert heads.judge(S, (5, 2), b"x") == "new"
    assert heads.judge("md:b", (5, 1), b"x") == "new"


def test_the_same_id_with_other_bytes_contradicts():
    heads = Heads()
    heads.add(S, (5, 1), b"x")
    assert heads.judge(S, (5, 1), b"y") == "contradicted"


def test_what_is_too_old_to_be_compared_counts_as_repeated():
    heads = Heads(remembered=2)
    for sequence in range(1, 10):
        heads.add(S, (5, sequence), b"x")
        judged = [heads.judge(S, (5, number), b"y") for number in range(1, sequence + 1)]
        assert set(judged[-2:]) == {"contradicted"}
        assert set(judged[:-4]) <= {"repeated"}


@given(st.dictionaries(st.text(max_size=5), st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_heads_come_back_from_a_note(known):
    heads = Heads()
    for stream, entry_id in known.items():
        heads.add(stream, entry_id, b"")
    again = Heads()
    again.restore({**heads.detail(), "chain": "00"})
    assert again.copy() == known


@given(runs=RUNS, data=st.data())
def test_what_is_recorded_and_what_is_missing_is_everything_that_was_published(runs, data):
    """A producer starts with `started`, which names the run before; any event may get lost, `started` too."""
    published, received, previous = [], [], (0, 0)
    for run, count in enumerate(runs, 1):
        for sequence in range(1, count + 1):
            published.append((run, sequence))
            if data.draw(st.booleans()):
                received.append(((run, sequence), previous if sequence == 1 else (0, 0)))
        previous = (run, count) if count else previous
    known, head = [], (0, 0)
    for entry_id, before in received:
        for gap in gaps(S, head, entry_id, Before(before)):
            known += [(gap.run, gap.first + number) for number in range(gap.count)]
        known.append(entry_id)
        head = entry_id
    assert sorted(set(known)) == known
    assert set(known) <= set(published)
    # Behind the last that came nobody knows yet. The end of a run is told by the first event of the next, or by none.
    came = {entry_id for entry_id, _ in received}
    for run, sequence in set(published) - set(known):
        following = next((later for later, first in published if later > run and first == 1), 0)
        assert (run, sequence) > head or (following, 1) not in came


@pytest.mark.parametrize(
    ("head", "entry_id", "previous", "missing"),
    [
        ((0, 0), (5, 1), (0, 0), []),
        ((5, 7), (5, 8), (0, 0), []),
        ((5, 7), (5, 10), (0, 0), [Gap(S, 5, 8, 9)]),
        ((5, 7), (6, 1), (5, 7), []),
        ((5, 7), (6, 1), (5, 3), []),  # the state file is written now and then
        ((5, 7), (6, 1), (5, 9), [Gap(S, 5, 8, 9)]),
        ((5, 7), (7, 1), (6, 4), [Gap(S, 6, 1, 4)]),
        ((5, 7), (6, 3), (0, 0), [Gap(S, 6, 1, 2)]),
        ((0, 0), (6, 1), (5, 9), [Gap(S, 5, 1, 9)]),
        ((5, 7), (6, 1), (8, 9), []),  # a state file from the future says nothing
    ],
)
def test_a_jump_is_a_gap(head, entry_id, previous, missing):
    assert gaps(S, head, entry_id, Before(previous)) == missing


@pytest.mark.parametrize(
    ("head", "entry_id", "previous", "missing"),
    [
        ((5, 7), (6, 1), (5, 7), [Gap(S, 5, 8, None)]),
        ((5, 7), (6, 1), (5, 3), [Gap(S, 5, 8, None)]),
        ((5, 7), (6, 1), (5, 9), [Gap(S, 5, 8, 9), Gap(S, 5, 10, None)]),
        ((0, 0), (6, 1), (0, 0), [Gap(S, 0, 1, None)]),  # the first run there ever was
    ],
)
def test_after_a_power_cut_it_is_noted_that_more_may_be_missing(head, entry_id, previous, missing):
    assert gaps(S, head, entry_id, Before(previous, power_lost=True)) == missing
    assert "last" not in missing[-1].detail()
    assert missing[-1].count == 0


def test_only_the_first_event_of_a_run_names_the_run_before():
    started = codec.encode(kit.started(previous=(5, 9)))
    assert previous_of((kit.RUN, 1), started) == Before((5, 9))
    assert previous_of((kit.RUN, 2), started) == UNSAID
    assert previous_of((kit.RUN, 1), codec.encode(kit.bar(1))) == UNSAID
    assert previous_of((kit.RUN, 1), b"not an event") == UNSAID
    after = codec.encode(kit.started(previous=(5, 9), power_lost=True))
    assert previous_of((kit.RUN, 1), after) == Before((5, 9), power_lost=True)


ENTRIES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 8)), max_size=30)


@given(
    given_=ENTRIES,
    stored=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), max_size=5),
    count=st.integers(1, 9),
)
def test_each_entry_is_acknowledged_once_when_it_is_stored_in_whatever_order_it_came(given_, stored, count):
    waiting, model = Unacknowledged(), set[tuple[int, int]]()
    for entry_id in given_:
        waiting.add(S, entry_id)
        model.add(entry_id)
    for head in stored:
        expected = sorted(entry_id for entry_id in model if entry_id <= head)[:count]
        assert waiting.take(S, head, count) == [f"{run}-{sequence}" for run, sequence in expected]
        model -= set(expected)
    assert waiting.take("md:none", (9, 9), count) == []


def test_a_long_wait_costs_no_memory():
    waiting = Unacknowledged()
    for sequence in range(1, 100_001):
        waiting.add(S, (5, sequence))
    assert waiting._ranges == {S: [[5, 1, 100_000]]}
