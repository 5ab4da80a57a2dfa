# SPDX-License-Identifier: Apache-2.0
"""The verifier finds any damage to the segments; a torn end that nobody signed is cut and noted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from station.errors import StationError
from station.journal.segments import segments
from station.journal.verifier import verify

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.history_kit import KEYS, History, make
from tests.unit.services.journal.journal_kit import Station


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
