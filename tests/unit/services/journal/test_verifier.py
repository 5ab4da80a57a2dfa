# SPDX-License-Identifier: Apache-2.0
"""The verifier: every way to alter history is found, with the first record that is not as it was and what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from station.errors import StationError
from station.journal.chain import Head, link, origin
from station.journal.checkpoint import Checkpoint, Signer, notes, origin_of
from station.journal.checkpoint_log import NAME
from station.journal.rows import BarRow
from station.journal.segments import path_of, segments
from station.journal.verifier import Verdict, verify
from station.journal.writer import SegmentWriter

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import SIGNER, STRANGER, Station

KEYS = [SIGNER.verifier]
# Ten bars and a checkpoint, five times; the first record is the genesis.
ROUNDS, EACH = 5, 10
LAST = 1 + ROUNDS * EACH
SIGNED = [1, 11, 21, 31, 41, 51]


@dataclass
class History:
    """A journal in one segment with its anchor and its database, all closed."""

    folder: Path
    anchor: Path
    station: Station

    @property
    def segment(self) -> Path:
        return segments(self.folder)[0]

    def lines(self) -> list[bytes]:
        return self.segment.read_bytes().splitlines(keepends=True)

    def set(self, lines: list[bytes]) -> None:
        self.segment.write_bytes(b"".join(lines))

    def verdict(self, copy: bool = False, anchors: bool = True) -> Verdict:
        kept = {"oversight": self.anchor} if anchors else {}
        return verify(self.folder, KEYS, kept, self.station.store if copy else None, self.station.clock)

    def broken(self, copy: bool = False, anchors: bool = True) -> tuple[int | None, str]:
        verdict = self.verdict(copy, anchors)
        assert not verdict.ok
        assert verdict.detail
        return verdict.first_break, verdict.kind


def make(root: Path) -> History:
    folder = root / "journal"
    folder.mkdir()
    station = Station(folder)
    for number in range(ROUNDS):
        station.publish(*kit.bars(1 + number * EACH, (number + 1) * EACH))
        station.turn()
    station.crash()
    anchor = root / "oversight.checkpoints"
    shutil.copy(folder / NAME, anchor)
    # Long enough for the database to have everything.
    station.clock.sleep(1000)
    return History(folder, anchor, station)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return make(tmp_path)


def chained(records: list[bytes], chain_id: bytes = kit.CHAIN_ID, head: Head | None = None) -> list[bytes]:
    """Return the lines of records as somebody makes them who has the code and not the key."""
    head, lines = head or origin(chain_id), []
    for record in records:
        head = link(chain_id, head, record)
        lines.append(b"%d\t%b\t%b\n" % (head.sequence, head.hash.hex().encode(), record))
    return lines


def records_of(lines: list[bytes]) -> list[bytes]:
    return [line[:-1].split(b"\t", 2)[2] for line in lines]


def head_of(line: bytes) -> Head:
    number, digest, _ = line.split(b"\t", 2)
    return Head(int(number), bytes.fromhex(digest.decode()))


def raised(record: bytes) -> bytes:
    return record.replace(b'"close":"1.0716"', b'"close":"1.0720"')


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


# The segments.


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


def signed(head: Head, signer: Signer, chain_id: bytes = kit.CHAIN_ID) -> bytes:
    return signer.sign(Checkpoint(origin_of("station.example/journal", chain_id), head).text())


# Checkpoints and anchors.


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


# QuestDB.


def overwrite(history: History, sequence: int, **changes: Any) -> None:
    """Do what an INSERT of the same keys does to a table with DEDUP."""
    row = history.station.store.row(sequence)
    history.station.store.rows[row.ts, row.seq] = row._replace(**changes)


def test_a_row_that_was_overwritten_in_silence_is_found(history):
    record = history.station.store.row(25).record
    overwrite(history, 25, record=record.replace("1.0716", "1.0720"))
    assert history.broken(copy=True) == (25, "hash")


def test_a_hash_that_was_overwritten_is_found(history):
    overwrite(history, 25, hash="0" * 64)
    assert history.broken(copy=True) == (25, "hash")


@pytest.mark.parametrize("column", ["recorded", "stream", "agent_id", "type"])
def test_a_column_that_says_other_than_the_record_is_found(history, column):
    value = getattr(history.station.store.row(25), column)
    overwrite(history, 25, **{column: value + type(value)(1)})
    assert history.broken(copy=True) == (25, "projection")


def test_a_row_that_is_gone_is_found(history):
    row = history.station.store.row(25)
    del history.station.store.rows[row.ts, row.seq]
    assert history.broken(copy=True) == (25, "gap")


def test_rows_that_are_gone_at_the_end_are_found_once_the_database_has_had_time(history):
    store = history.station.store
    store.rows = {key: row for key, row in store.rows.items() if row.seq <= 40}
    assert history.broken(copy=True) == (41, "gap")
    history.station.clock.time -= 1_000_000_000
    verdict = history.verdict(copy=True)
    assert (verdict.ok, verdict.stored) == (True, 40)


def test_a_second_row_of_a_record_at_another_time_is_found(history):
    row = history.station.store.row(25)
    history.station.store.rows[row.ts + 1, row.seq] = row._replace(ts=row.ts + 1)
    assert history.broken(copy=True) == (25, "fork")


def test_a_row_of_no_record_is_found(history):
    row = history.station.store.row(25)
    history.station.store.rows[row.ts, 99] = row._replace(seq=99)
    assert history.broken(copy=True) == (LAST + 1, "truncation")
    del history.station.store.rows[row.ts, 99]
    history.station.store.rows[row.ts, 0] = row._replace(seq=0)
    assert history.broken(copy=True) == (1, "projection")


def bar_of(history: History, sequence: int) -> BarRow:
    rows: list[BarRow] = list(history.station.store.bar_rows.values())
    return next(row for row in rows if row.seq == sequence)


def test_a_bar_that_was_edited_is_found(history):
    bar = bar_of(history, 25)
    history.station.store.bar_rows[bar.key] = bar._replace(close=1.072)
    assert history.broken(copy=True) == (25, "projection")


def test_a_bar_that_is_gone_is_found(history):
    del history.station.store.bar_rows[bar_of(history, 25).key]
    assert history.broken(copy=True) == (25, "projection")


@pytest.mark.parametrize("sequence", [1, 25])
def test_a_bar_that_nobody_sent_is_found(history, sequence):
    bar = bar_of(history, 25)._replace(ts=5, seq=sequence)
    history.station.store.bar_rows[bar.key] = bar
    assert history.broken(copy=True) == (sequence, "projection")


def test_a_bar_of_a_record_that_is_not_there_is_found(history):
    bar = bar_of(history, 25)._replace(ts=5, seq=1000)
    history.station.store.bar_rows[bar.key] = bar
    assert history.broken(copy=True) == (LAST + 1, "projection")


def test_a_bar_that_a_later_one_corrected_is_clean_and_an_earlier_one_in_its_place_is_not(history):
    station = history.station
    station.restart()
    correction = kit.bar(24, run=kit.RUN + 1, close="1.0719")
    station.publish(msgspec.structs.replace(correction, sequence=1))
    station.turn()
    station.clock.sleep(1000)
    later = station.store.bar_rows[bar_of(history, station.recorder.sequence).key]
    assert history.verdict(copy=True).ok
    station.store.bar_rows[later.key] = later._replace(close=1.0716, seq=25)
    assert history.broken(copy=True) == (station.recorder.sequence, "projection")


def test_a_database_that_lags_is_compared_as_far_as_it_is(history):
    station = history.station
    station.restart()
    station.store.away = True
    station.publish(*kit.bars(LAST, LAST + 40))
    station.clock.sleep(1)
    station.recorder.step()
    station.store.away = False
    verdict = history.verdict(copy=True)
    assert (verdict.ok, verdict.checked, verdict.stored) == (True, station.recorder.sequence, LAST)


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


# Any damage.


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> History:
    return make(tmp_path_factory.mktemp("small"))


@given(data=st.data())
@settings(max_examples=300)
def test_any_flipped_bit_is_found_where_it_is_or_is_a_torn_end(small, data):
    whole = small.segment.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytes([whole[place] ^ 1 << data.draw(st.integers(0, 7))])
    small.segment.write_bytes(whole[:place] + flipped + whole[place + 1 :])
    try:
        verdict = small.verdict()
    finally:
        small.segment.write_bytes(whole)
    record = 1 + whole[:place].count(b"\n")
    assert not verdict.ok
    # Without its line feed the last line is torn, and then it is missing.
    expected = ("truncation",) if place == len(whole) - 1 else ("hash", "gap", "fork")
    assert verdict.kind in expected
    assert verdict.first_break == record or verdict.kind in {"gap", "fork"}


@given(data=st.data())
@settings(max_examples=100)
def test_any_bytes_cut_out_or_put_in_are_found(small, data):
    whole = small.segment.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    new = data.draw(st.binary(max_size=20))
    if whole[:start] + new + whole[end:] == whole or (start == len(whole) and b"\n" not in new):
        return
    small.segment.write_bytes(whole[:start] + new + whole[end:])
    try:
        verdict = small.verdict()
    finally:
        small.segment.write_bytes(whole)
    assert not verdict.ok


@given(cut=st.integers(0, 25_000))
@settings(max_examples=100)
def test_any_torn_end_is_cut_and_noted_when_the_journal_opens_unless_it_was_signed(tmp_path_factory, cut):
    """What is behind the newest checkpoint may be torn by a crash; what is before it may not be missing."""
    station = Station(tmp_path_factory.mktemp("torn"))
    station.publish(*kit.bars(1, 10))
    station.turn()
    station.publish(*kit.bars(11, 60))
    station.recorder.step()
    station.crash()
    path = segments(station.folder)[0]
    whole = path.read_bytes()
    signed = sum(map(len, whole.splitlines(keepends=True)[:11]))
    left = whole[: len(whole) - cut % len(whole)]
    path.write_bytes(left)
    if len(left) < signed:
        with pytest.raises(StationError, match="TRUNCATION"):
            station.restart()
        return
    station.restart()
    station.turn()
    assert verify(station.folder, KEYS, {}, station.store, station.clock).ok
    # What the crash took comes again.
    assert station.recorded() == [event.entry_id for event in kit.bars(1, 60)]
    assert len(station.notes("torn")) == (0 if left.endswith(b"\n") else 1)
