# SPDX-License-Identifier: Apache-2.0
"""The recorder: every entry once, what is missing said, and acknowledged only what is stored."""

from __future__ import annotations

import base64
import errno
import os
from unittest.mock import patch

import pytest
from station import codec
from station.bus.port import Entry
from station.errors import Unavailable
from station.events import Event
from station.journal import record as records
from station.journal.checkpoint_log import NAME
from station.journal.recorder import Limits

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import RUN, STREAM, Station


def test_what_was_sent_is_recorded_byte_for_byte_and_stored_and_acknowledged(station):
    events: list[Event] = [kit.started(), *kit.bars(2, 30)]
    station.publish(*events)
    station.turn()
    records = [line[2] for line in kit.lines(station.folder)][1:]
    assert records == [
        b'{"entry":"%b","event":%b,"recorded":"%d","stream":"md:replay"}'
        % (event.entry_id.encode(), codec.encode(event), station.clock.now())
        for event in events
    ]
    assert [row.record.encode() for row in station.store.journal(2, 31)] == records
    assert station.pending() == 0


def test_streams_of_all_producers_are_recorded_and_dead_letters_and_others_are_not(station):
    for stream in (
        "md:replay",
        "strat:momentum",
        "exec:paper",
        "tourn:weekly",
        "dead:risk",
        "sample:bars",
        "md:bars:sample",
    ):
        station.publish(kit.bar(1, producer=stream.partition(":")[2]), stream=stream)
    station.turn()
    recorded = {row.stream for row in station.store.rows.values()}
    assert recorded == {"md:replay", "strat:momentum", "exec:paper", "tourn:weekly", "journal"}


def test_a_stream_that_begins_later_is_found(station):
    station.turn()
    station.publish(kit.bar(1))
    station.turn()
    assert station.recorded() == [f"{RUN}-1"]


def test_nothing_is_acknowledged_while_the_database_is_away_and_everything_when_it_is_back(station):
    station.store.away = True
    station.publish(*kit.bars(1, 50))
    station.clock.sleep(1)
    for _ in range(5):
        station.recorder.step()
        with pytest.raises(Unavailable):
            station.follower.step()
    assert len(station.recorded()) == 50
    assert station.pending() == 50
    assert station.stored.trouble == "the database is away"
    station.store.away = False
    station.turn()
    assert station.pending() == 0
    assert station.stored.trouble == ""
    assert station.recorder.counts.acknowledged == 50


def test_after_a_restart_what_comes_again_is_known_and_acknowledged(station):
    station.publish(*kit.bars(1, 50))
    station.clock.sleep(1)
    station.recorder.step()
    station.follower.step()
    station.crash()
    station.restart()
    station.turn()
    assert station.recorded() == [event.entry_id for event in kit.bars(1, 50)]
    assert station.recorder.counts.repeated == 50
    assert station.pending() == 0


def test_what_comes_again_before_the_database_answers_is_acknowledged_later(station):
    station.publish(*kit.bars(1, 50))
    station.turn()
    station.publish(*kit.bars(51, 60))
    station.clock.sleep(1)
    station.recorder.step()
    station.crash()
    station.restart()
    station.clock.sleep(1)
    station.recorder.step()
    assert station.pending() == 10
    station.turn()
    assert station.pending() == 0


def test_a_jump_within_a_run_is_noted_with_what_is_missing(station):
    station.publish(kit.started(), kit.bar(2), kit.bar(6))
    station.turn()
    assert station.notes("gap") == [{"stream": STREAM, "run": str(RUN), "first": "3", "last": "5"}]
    assert (station.recorder.counts.gaps, station.recorder.counts.missing) == (1, 3)
    # The note stands before the event that showed it.
    notes = [b'"note":"gap"' in line for line in kit.text_lines(station.folder)]
    assert notes == [False, False, False, True, False]


def test_the_lost_end_of_a_run_is_noted_when_its_producer_starts_again(station):
    station.publish(kit.started(), *kit.bars(2, 10))
    station.turn()
    station.publish(kit.started(RUN + 5, previous=(RUN, 14)))
    station.turn()
    assert station.notes("gap") == [{"stream": STREAM, "run": str(RUN), "first": "11", "last": "14"}]


def test_after_a_power_cut_the_note_says_that_nobody_knows_the_end(station):
    station.publish(kit.started(), *kit.bars(2, 10))
    station.turn()
    station.publish(kit.started(RUN + 5, previous=(RUN, 10), power_lost=True))
    station.turn()
    assert station.notes("gap") == [{"stream": STREAM, "run": str(RUN), "first": "11"}]
    assert (station.recorder.counts.gaps, station.recorder.counts.missing) == (1, 0)


def test_a_gap_across_a_restart_of_the_recorder_is_noted_once(station):
    station.publish(kit.started(), kit.bar(2))
    station.turn()
    for _ in range(3):
        station.crash()
        station.restart()
        station.turn()
    station.publish(kit.bar(5))
    station.turn()
    station.crash()
    station.restart()
    station.turn()
    assert len(station.notes("gap")) == 1


def test_the_heads_survive_a_restart_after_many_segments(tmp_path):
    station = Station(tmp_path, limit=1)
    station.publish(kit.started(producer="quiet"), stream="md:quiet")
    for sequence in range(1, 10):
        station.publish(kit.bar(sequence))
        station.turn()
    station.crash()
    station.restart()
    assert station.opened.heads["md:quiet"] == (RUN, 1)
    station.publish(kit.bar(3, producer="quiet"), stream="md:quiet")
    station.turn()
    assert station.notes("gap") == [{"stream": "md:quiet", "run": str(RUN), "first": "2", "last": "2"}]


def test_the_same_id_with_other_bytes_is_noted_with_those_bytes_and_nothing_stops(station):
    station.publish(kit.bar(1), kit.bar(2))
    station.turn()
    other = codec.encode(kit.bar(1, close="1.0722"))
    again = Entry(STREAM, f"{RUN}-1", other)
    with patch.object(station.bus, "consume", lambda *_: [again]):
        station.recorder.step()
    assert station.notes("conflict") == [
        {
            "stream": STREAM,
            "entry": f"{RUN}-1",
            "reason": "recorded before with other bytes",
            "bytes": base64.b64encode(other).decode(),
        }
    ]
    station.publish(kit.bar(3))
    station.turn()
    assert station.recorded() == [f"{RUN}-{sequence}" for sequence in (1, 2, 3)]


@pytest.mark.parametrize("data", [b"bought the dip", b"", codec.encode(kit.bar(2)) + b"\n", codec.encode(kit.bar(9))])
def test_an_entry_that_is_no_event_is_noted_with_its_bytes_and_moved_and_the_stream_flows(station, data):
    station.publish(kit.bar(1))
    station.publish_bytes(f"{RUN}-2", data)
    station.publish(kit.bar(3))
    station.turn()
    (note,) = station.notes("conflict")
    assert base64.b64decode(note["bytes"]) == data
    assert note["entry"] == f"{RUN}-2"
    (letter,) = station.bus.dead_letters("journal")
    assert (letter.entry.data, letter.reason) == (data, note["reason"])
    assert station.recorded() == [f"{RUN}-1", f"{RUN}-3"]
    assert station.notes("gap") == []
    assert station.pending() == 0


def test_an_entry_that_no_row_could_hold_is_noted_with_its_beginning_and_moved_as_a_whole(station):
    data = b"x" * (3 * records.LONGEST_EVENT)
    station.publish_bytes(f"{RUN}-1", data)
    station.turn()
    (note,) = station.notes("conflict")
    assert base64.b64decode(note["bytes"]) == data[: records.LONGEST_EVENT]
    (letter,) = station.bus.dead_letters("journal")
    assert letter.entry.data == data


def test_an_entry_that_is_no_event_is_noted_once_even_if_the_recorder_dies_before_it_is_moved(station):
    station.publish_bytes(f"{RUN}-1", b"bought the dip")
    station.clock.sleep(1)
    with patch.object(station.bus, "dead_letter", side_effect=Unavailable("gone")), pytest.raises(Unavailable):
        station.recorder.step()
    station.crash()
    station.restart()
    station.publish(kit.bar(2))
    station.turn()
    assert len(station.notes("conflict")) == 1
    assert station.pending() == 0


def test_the_bus_may_be_away_at_any_step_and_nothing_is_lost(station):
    for name in ("streams", "consume", "acknowledge", "dead_letter", "trim"):
        sequence = int(station.bus.head(STREAM).split("-")[1])
        station.publish_bytes(f"{RUN}-{sequence + 1}", b"misfit")
        station.publish(kit.bar(sequence + 2))
        station.clock.sleep(11)
        with patch.object(station.bus, name, side_effect=Unavailable("gone")):
            for _ in range(3):
                try:
                    station.recorder.step()
                    station.follower.step()
                except Unavailable:
                    continue
        station.turn()
    assert len(station.recorded()) == 5
    assert len(station.bus.dead_letters("journal")) == 5
    assert station.pending() == 0


def test_an_event_of_a_newer_release_is_recorded(station):
    data = codec.encode(kit.bar(1)).replace(b'"schema":"1"', b'"schema":"7"')
    station.publish_bytes(f"{RUN}-1", data)
    station.turn()
    assert station.recorded() == [f"{RUN}-1"]
    assert station.store.row(2).type == "MarketEvent"
    assert station.store.bar_rows == {}


def test_the_head_is_signed_after_a_second_or_a_thousand_records_and_only_if_there_is_something_new(tmp_path):
    station = Station(tmp_path, limits=Limits(batch=1000))
    signed = [station.opened.checkpoints.signed]
    for first, last, seconds in ((1, 10, 0), (11, 20, 1.0), (21, 30, 0.5), (31, 1030, 0.0), (1, 0, 5)):
        station.publish(*kit.bars(first, last))
        station.clock.sleep(seconds)
        station.recorder._looked_ns = 0
        station.recorder.step()
        signed.append(station.opened.checkpoints.signed)
    assert signed == [1, 1, 21, 21, 1031, 1031]
    assert kit.signed(tmp_path) == 1031


def half_of_it(file: int, data: bytes) -> None:
    os.write(file, data[: len(data) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_under_the_checkpoints_is_tried_again(station):
    before = (station.folder / NAME).read_bytes()
    station.publish(*kit.bars(1, 10))
    station.clock.sleep(2)
    with (
        patch("station.journal.checkpoint_log.write_all", half_of_it),
        pytest.raises(Unavailable, match="checkpoints: No space left on device"),
    ):
        station.recorder.step()
    assert (station.folder / NAME).read_bytes() == before
    station.turn()
    assert kit.signed(station.folder) == 11


def test_the_end_is_signed_when_the_recorder_stops(station):
    station.publish(*kit.bars(1, 10))
    station.turn()
    station.publish(*kit.bars(11, 12))
    station.recorder.step()
    station.recorder.finish()
    assert kit.signed(station.folder) == station.recorder.sequence == 13


def test_streams_are_trimmed_below_what_is_stored_and_the_newest_stay(tmp_path):
    station = Station(tmp_path, limits=Limits(batch=100, keep=20))
    station.store.away = True
    station.publish(*kit.bars(1, 100))
    station.clock.sleep(20)
    station.recorder.step()
    station.clock.sleep(20)
    station.recorder.step()
    assert len(station.bus.read(STREAM, "0-0", 1000)) == 100
    station.store.away = False
    station.turn()
    station.clock.sleep(20)
    station.turn()
    left = [entry.entry_id for entry in station.bus.read(STREAM, "0-0", 1000)]
    assert left == [f"{RUN}-{sequence}" for sequence in range(81, 101)]
    assert station.recorder.counts.trimmed == 80


def test_what_another_group_has_not_acknowledged_is_not_trimmed(tmp_path):
    station = Station(tmp_path, limits=Limits(batch=100, keep=20))
    station.publish(*kit.bars(1, 100))
    station.producer.consume([STREAM], "risk", "one", 50)
    for _ in range(3):
        station.turn()
        station.clock.sleep(20)
    assert len(station.bus.read(STREAM, "0-0", 1000)) == 100


def test_a_run_that_is_still_short_leaves_the_run_before_it(tmp_path):
    station = Station(tmp_path, limits=Limits(batch=100, keep=20))
    station.publish(*kit.bars(1, 15))
    station.publish(*kit.bars(1, 15, run=RUN + 1))
    for _ in range(3):
        station.turn()
        station.clock.sleep(20)
    assert len(station.bus.read(STREAM, "0-0", 1000)) == 30
