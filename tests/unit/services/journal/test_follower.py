# SPDX-License-Identifier: Apache-2.0
"""The follower: everything that is safe in the segments gets into the database, once, whatever happens in between."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from station.errors import StationError, Unavailable
from station.journal.follower import Follower, replay
from station.journal.segments import Altered, segments

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import MemoryStore, Station, StillClock


def stored(station: Station) -> list[int]:
    return sorted(row.seq for row in station.store.rows.values())


def fill(station: Station, first: int, last: int) -> None:
    """Record bars; nothing of them is in the database yet."""
    station.publish(*kit.bars(first, last))
    station.clock.sleep(1)
    while station.recorder.step():
        pass


def test_the_database_gets_what_the_segments_have(station):
    fill(station, 1, 20)
    assert station.follower.step() > 0
    assert stored(station) == list(range(1, 22))
    assert [row.hash.encode() for row in station.store.journal(1, 21)] == [
        line[1] for line in kit.lines(station.folder)
    ]
    assert len(station.store.bar_rows) == 20
    assert station.follower.step() == 0


def test_what_is_not_safe_on_the_disk_is_not_stored(station):
    fill(station, 1, 20)
    follower = Follower(station.folder, station.store, station.clock, lambda: 5)
    follower.step()
    assert stored(station) == [1, 2, 3, 4, 5]
    assert follower.stored.sequence == 5


def test_nothing_is_asked_of_the_database_before_there_is_a_record(tmp_path):
    store = MemoryStore()
    store.away = True
    assert Follower(tmp_path, store, StillClock(), lambda: 0).step() == 0


@pytest.mark.parametrize("limit", [1, 64 << 20])
def test_a_new_follower_goes_on_where_the_database_is_and_knows_what_is_stored(tmp_path, limit):
    station = Station(tmp_path, limit=limit)
    station.publish(kit.started(producer="quiet"), stream="md:quiet")
    for first in range(1, 30, 5):
        fill(station, first, first + 4)
    end, whole = station.recorder.sequence, MemoryStore()
    replay(tmp_path, whole)
    for watermark in range(end + 1):
        store = MemoryStore()
        before = Follower(tmp_path, store, station.clock, partial(int, watermark))
        while before.step():
            pass
        assert len(store.rows) == watermark
        follower = Follower(tmp_path, store, station.clock, lambda: end)
        while follower.step():
            pass
        assert (store.rows, store.bar_rows) == (whole.rows, whole.bar_rows)
        assert follower.stored.sequence == end
        assert follower.stored.heads[kit.STREAM] == (kit.RUN, 30)
        assert follower.stored.heads["md:quiet"] == (kit.RUN, 1)


def test_after_an_answer_was_lost_everything_is_stored_once(station):
    fill(station, 1, 10)
    write = station.store.write

    def lose_the_answer(*rows):
        write(*rows)
        raise Unavailable("connection reset")

    station.store.write = lose_the_answer
    with pytest.raises(Unavailable):
        station.follower.step()
    assert station.stored.trouble == "connection reset"
    station.store.write = write
    assert station.follower.step() == 0
    assert stored(station) == list(range(1, 12))
    assert station.stored.sequence == 11
    assert station.stored.heads[kit.STREAM] == (kit.RUN, 10)


def test_a_suspended_table_is_noticed_between_batches(station):
    fill(station, 1, 10)
    station.follower.step()
    station.store.suspended = True
    station.clock.sleep(6)
    with pytest.raises(Unavailable, match="suspended"):
        station.follower.step()
    station.store.suspended = False
    fill(station, 11, 12)
    station.follower.step()
    assert stored(station) == list(range(1, 14))


def test_rows_that_are_missing_are_written_again_when_it_connects(station):
    fill(station, 1, 10)
    station.follower.step()
    del station.store.rows[next(key for key in station.store.rows if key[1] == 4)]
    station.follower.close()
    station.follower.step()
    assert stored(station) == list(range(1, 12))


def test_a_database_that_holds_more_than_the_segments_is_a_truncation(station):
    fill(station, 1, 10)
    station.follower.step()
    follower = Follower(station.folder, station.store, station.clock, lambda: 7)
    with pytest.raises(StationError, match=r"^TRUNCATION: QuestDB holds record 11, but .* ends with 7"):
        follower.step()


def test_altered_segments_do_not_get_into_the_database(station):
    fill(station, 1, 10)
    path = segments(station.folder)[0]
    path.write_bytes(path.read_bytes().replace(b'"close":"1.0716"', b'"close":"1.0717"', 1))
    with pytest.raises(Altered):
        station.follower.step()
    assert stored(station) == []


def test_the_thread_survives_a_database_that_is_away_and_waits_longer_each_time(station):
    fill(station, 1, 10)
    station.store.away = True
    stop, asked = threading.Event(), []

    def draw(low: float, high: float) -> float:
        asked.append((low, high))
        if len(asked) == 12:
            station.store.away = False
            stop.set()
        return 0.0

    station.follower.run(stop, draw)
    assert asked[:3] == [(0, 0.05), (0, 0.1), (0, 0.2)]
    assert asked[-1] == (0, 5.0)
    assert station.follower.step() > 0


def test_the_thread_ends_with_what_a_person_has_to_see(station):
    fill(station, 1, 10)
    station.follower.step()
    follower = Follower(station.folder, station.store, station.clock, lambda: 7)
    with pytest.raises(StationError, match="TRUNCATION"):
        follower.run(threading.Event())


def test_replay_brings_everything_into_an_empty_database_and_changes_nothing_in_a_full_one(tmp_path):
    station = Station(tmp_path, limit=1)
    for first in (1, 6, 11):
        fill(station, first, first + 4)
    while station.follower.step():
        pass
    store = MemoryStore()
    assert replay(tmp_path, store) == station.recorder.sequence
    assert (store.rows, store.bar_rows) == (station.store.rows, station.store.bar_rows)
    replay(tmp_path, store)
    assert (store.rows, store.bar_rows) == (station.store.rows, station.store.bar_rows)
    assert [row.seq for row in store.bar_rows.values()] == sorted(row.seq for row in store.bar_rows.values())
