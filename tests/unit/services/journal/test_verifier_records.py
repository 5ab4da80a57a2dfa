# SPDX-License-Identifier: Apache-2.0
"""The verifier and the segments: every way to alter records, their order, their number or their chain is found."""

from __future__ import annotations

import shutil

import pytest
from station.journal.checkpoint_log import NAME
from station.journal.segments import path_of, segments
from station.journal.verifier import verify
from station.journal.writer import SegmentWriter

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.history_kit import KEYS, LAST, SIGNED, chained, head_of, raised, records_of, signed
from tests.unit.services.journal.journal_kit import SIGNER, STRANGER, Station


def test_an_edited_record_is_found(history):
    lines = history.lines()
    lines[24] = raised(lines[24])
    history.set(lines)
    assert history.broken() == (25, "hash")
    assert history.verdict().text().startswith("altered at record 25: hash: ")


def test_an_edited_record_with_a_hash_to_fit_is_found_at_the_next(history):
    lines = history.lines()
    lines[24] = chained([raised(records_of(lines)[24])], head=head_of(lines[23]))[0]
    history.set(lines)
    assert history.broken() == (26, "hash")


@pytest.mark.parametrize("number", [b"24", b"29", b"025"])
def test_a_record_with_another_number_is_found(history, number):
    lines = history.lines()
    lines[24] = lines[24].replace(b"25", number, 1)
    history.set(lines)
    assert history.broken() == (25, "hash")


def test_a_deleted_record_is_found(history):
    lines = history.lines()
    del lines[24]
    history.set(lines)
    assert history.broken() == (25, "gap")


def test_an_inserted_record_is_found(history):
    lines = history.lines()
    added = chained([raised(records_of(lines)[24])], head=head_of(lines[23]))[0]
    history.set([*lines[:24], added, *lines[24:]])
    assert history.broken() == (25, "fork")


def test_a_repeated_record_is_found(history):
    lines = history.lines()
    history.set([*lines[:24], lines[23], *lines[24:]])
    assert history.broken() == (24, "fork")


def test_two_records_in_the_other_order_are_found(history):
    lines = history.lines()
    lines[24], lines[25] = lines[25], lines[24]
    history.set(lines)
    assert history.broken() == (25, "gap")


def test_a_truncated_tail_is_found_by_our_own_checkpoints(history):
    history.set(history.lines()[:40])
    assert history.broken(anchors=False) == (41, "truncation")


def test_a_tail_truncated_with_its_checkpoints_is_found_by_the_anchor(history):
    history.set(history.lines()[:41])
    kept = (history.folder / NAME).read_bytes()
    (history.folder / NAME).write_bytes(kept[: len(kept) * 5 // 6])
    assert history.verdict(anchors=False).ok
    assert history.broken() == (42, "truncation")


def test_a_tail_truncated_before_a_restart_that_goes_on_is_found_by_the_anchor(history):
    """Whoever truncates segments and checkpoints makes the recorder go on behind the cut, with its own key."""
    history.set(history.lines()[:41])
    kept = (history.folder / NAME).read_bytes()
    (history.folder / NAME).write_bytes(kept[: len(kept) * 5 // 6])
    station = history.station
    station.restart()
    station.publish(*kit.bars(LAST, LAST + 40))
    station.turn()
    assert station.recorder.sequence > LAST
    assert history.broken() == (42, "anchor")


def test_a_journal_that_is_gone_is_found(history):
    history.segment.unlink()
    assert history.broken() == (1, "truncation")


def test_two_recorders_that_both_write_are_found(history):
    head = head_of(history.lines()[-1])
    one, other = (SegmentWriter(history.folder, kit.CHAIN_ID, head) for _ in range(2))
    records = records_of(history.lines())
    one.append(records[2:5])
    other.append(records[6:8])
    one.close()
    other.close()
    assert history.broken() == (LAST + 1, "fork")


def test_an_old_segment_as_a_new_one_is_found(tmp_path):
    station = Station(tmp_path, limit=1)
    for number in range(4):
        station.publish(*kit.bars(1 + number * 3, 3 + number * 3))
        station.turn()
    end = station.recorder.sequence
    shutil.copy(segments(tmp_path)[1], path_of(tmp_path, end + 1))
    verdict = verify(tmp_path, KEYS, {})
    assert (verdict.first_break, verdict.kind) == (end + 1, "link")


@pytest.mark.parametrize("edited", [1, 5, 11, 12, 30, 50, 51])
def test_a_chain_made_anew_without_the_key_is_found(history, edited):
    lines = history.lines()
    records = records_of(lines)
    records[edited - 1] = records[edited - 1].replace(b'"recorded":"1', b'"recorded":"2')
    history.set(chained(records))
    # Each checkpoint vouches for all before it: what changed lies behind the last one that agrees.
    vouched = max((size for size in SIGNED if size < edited), default=0)
    assert history.broken(anchors=False) == (vouched + 1, "fork")
    (history.folder / NAME).write_bytes(b"")
    assert history.broken() == (vouched + 1, "anchor")


def test_a_chain_made_anew_and_signed_with_another_key_is_found(history):
    lines = chained([raised(record) for record in records_of(history.lines())])
    history.set(lines)
    (history.folder / NAME).write_bytes(b"".join(signed(head_of(lines[size - 1]), STRANGER) for size in SIGNED))
    assert history.broken() == (1, "signature")


def test_another_chain_under_the_journal_s_own_key_is_found_by_the_anchor(history):
    """A key that was stolen, or a folder of another chain in this one's place."""
    other = bytes(16)
    records = records_of(history.lines())
    records[0] = records[0].replace(kit.CHAIN_ID.hex().encode(), other.hex().encode())
    lines = chained(records, other)
    history.set(lines)
    assert history.broken(anchors=False) == (1, "fork")
    (history.folder / NAME).write_bytes(signed(head_of(lines[-1]), SIGNER, other))
    assert history.verdict(anchors=False).ok
    assert history.broken() == (1, "anchor")
