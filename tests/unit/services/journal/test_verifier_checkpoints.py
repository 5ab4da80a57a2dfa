# SPDX-License-Identifier: Apache-2.0
"""The verifier and what is signed: the journal's own checkpoints, the copies that anchors keep, the keys."""

from __future__ import annotations

import pytest
from station.journal.chain import Head
from station.journal.checkpoint import notes
from station.journal.checkpoint_log import NAME
from station.journal.verifier import verify

from tests.unit.services.journal.history_kit import LAST, SIGNED, signed
from tests.unit.services.journal.journal_kit import SIGNER, STRANGER


def test_a_missing_file_of_checkpoints_is_found(history):
    (history.folder / NAME).unlink()
    assert history.broken() == (1, "signature")


def test_checkpoints_that_stop_long_before_the_end_are_found(history):
    station = history.station
    station.restart()
    signed = station.opened.writer.head.sequence
    station.opened.writer.append([b"{}"] * 100_000)
    assert history.verdict(anchors=False).signed == signed
    station.opened.writer.append([b"{}"])
    station.crash()
    assert history.broken(anchors=False) == (signed + 1, "signature")


@pytest.mark.parametrize("place", [0, 60, 130, 200, 300])
def test_a_damaged_checkpoint_is_found(history, place):
    kept = (history.folder / NAME).read_bytes()
    (history.folder / NAME).write_bytes(kept[:place] + b"#" + kept[place + 1 :])
    number = place // (len(kept) // 6)
    assert history.broken() == ([0, *SIGNED][number] + 1, "signature")


def test_anything_between_checkpoints_is_found(history):
    kept = (history.folder / NAME).read_bytes()
    second = kept.index(b"station.example", kept.index("— ".encode()) + 30)
    (history.folder / NAME).write_bytes(kept[:second] + b"\n" + kept[second:])
    assert history.broken() == (2, "signature")


def test_a_checkpoint_of_another_chain_is_no_truncation(history):
    other = signed(Head(1000, bytes(32)), SIGNER, bytes(16))
    with (history.folder / NAME).open("ab") as file:
        file.write(other)
    assert history.broken(anchors=False) == (LAST + 1, "fork")


def test_checkpoints_in_another_order_are_found(history):
    with (history.folder / NAME).open("rb") as file:
        first, *others = notes(file, (history.folder / NAME).stat().st_size)
    (history.folder / NAME).write_bytes(b"".join([*others, first]))
    assert history.broken() == (1, "fork")


def test_a_damaged_copy_of_an_anchor_is_found(history):
    data = history.anchor.read_bytes()
    history.anchor.write_bytes(data.replace(b"\n21\n", b"\n22\n"))
    assert history.broken() == (12, "signature")


def test_half_a_note_in_an_anchor_s_file_that_only_grows_is_not_an_alteration(history):
    data = history.anchor.read_bytes()
    middle = len(data) // 2
    history.anchor.write_bytes(data[:middle] + data[middle : middle + 50] + b"\n" + data[middle:])
    assert history.verdict().ok


def test_an_anchor_may_lag(history):
    data = history.anchor.read_bytes()
    history.anchor.write_bytes(data[: len(data) // 2])
    assert history.verdict().anchored == {"oversight": 21}
    history.anchor.write_bytes(b"")
    assert history.verdict().anchored == {"oversight": 0}


def test_a_former_key_still_counts(history):
    verdict = verify(history.folder, [STRANGER.verifier, SIGNER.verifier], {})
    assert (verdict.ok, verdict.signed) == (True, LAST)
