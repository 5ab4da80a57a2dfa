# SPDX-License-Identifier: Apache-2.0
"""The verifier's verdict when nothing is altered, and its one line when it cannot compare."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from station.errors import StationError
from station.journal.verifier import Verdict, verify

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.history_kit import KEYS, LAST, History
from tests.unit.services.journal.journal_kit import Station

# Nothing is altered.


def test_a_journal_that_nobody_touched_is_clean(history):
    assert history.verdict(copy=True) == Verdict(
        ok=True,
        checked=LAST,
        first_break=None,
        kind="",
        detail="",
        signed=LAST,
        anchored={"oversight": LAST},
        stored=LAST,
        torn=0,
    )
    assert history.verdict(copy=True).text() == (
        "51 records are as they were written, 51 of them signed, 51 anchored at oversight, 51 in QuestDB"
    )


def test_a_journal_is_clean_while_it_is_written(history):
    """The recorder adds a batch and a checkpoint after the verifier has looked how far these files are."""
    station = history.station
    station.restart()
    store = station.store
    look = store.extent

    def work_on():
        extent = look()
        station.publish(*kit.bars(LAST, LAST + 40))
        station.turn()
        return extent

    store.extent = work_on
    assert history.verdict(copy=True).ok


def test_half_a_line_at_the_end_is_not_an_alteration(history):
    history.segment.write_bytes(history.segment.read_bytes() + b"52\tab")
    verdict = history.verdict()
    assert (verdict.ok, verdict.checked, verdict.torn) == (True, LAST, 5)


def test_many_segments_are_clean_too(tmp_path):
    station = Station(tmp_path, limit=1)
    for number in range(5):
        station.publish(*kit.bars(1 + number * 3, 3 + number * 3))
        station.turn()
    assert verify(tmp_path, KEYS, {}, station.store, station.clock).ok


# It cannot be done.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda history: setattr(history.station.store, "away", True),
            "the database is away; start it, or verify with",
        ),
        (lambda history: history.anchor.unlink(), "the copy of anchor oversight is not there; fetch it"),
        (lambda history: shutil.rmtree(history.folder), "No such file or directory"),
    ],
)
def test_what_cannot_be_compared_is_one_line(history: History, change: Callable[[History], None], message: str):
    change(history)
    with pytest.raises(StationError, match=message):
        history.verdict(copy=True)


def test_without_a_key_nothing_is_verified(history):
    with pytest.raises(StationError, match="no key is given"):
        verify(history.folder, [], {})


def test_a_folder_that_was_never_a_journal_is_one_line(tmp_path):
    with pytest.raises(StationError, match="no segment is there"):
        verify(tmp_path, KEYS, {})
