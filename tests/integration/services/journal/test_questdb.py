# SPDX-License-Identifier: Apache-2.0
"""The journal's copy in the lab's QuestDB: exactly what was recorded, and every change to it is found.

The tables have names of their own: those of the lab's recorder stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from station.errors import StationError, Unavailable
from station.journal.follower import Follower, replay
from station.journal.questdb import QuestDB, Server
from station.journal.rows import BarRow, JournalRow
from station.journal.verifier import Verdict, verify

from fleet.model.model import Fleet
from fleet.paths import LAB_INVENTORY, PROJECT
from lab.containers import tunnel
from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import SIGNER, Station

PREFIX = "journaltest_"
APPLIED_WITHIN = 60.0  # seconds
BARS = 300
LAST = 1 + BARS


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Yield the lab's QuestDB, which listens on its host's loopback only."""
    fleet = Fleet.load(LAB_INVENTORY, PROJECT)
    host = fleet.members["questdb"][0]
    settings = fleet.settings(host)
    # The client insists on Python's own strings, and Ansible's carry their origin.
    user, password = str(settings["questdb_http_user"]), str(settings["questdb_http_password"])
    with tunnel.forwarded_port(host, settings["questdb_http_port"]) as port:
        yield Server("127.0.0.1", port, user, password)


@pytest.fixture
def questdb(server: Server) -> Iterator[QuestDB]:
    """Yield a client whose tables are not there yet, and are gone afterwards."""
    client = QuestDB(server, PREFIX)
    drop(client)
    yield client
    drop(client)
    client.close()


@pytest.fixture
def station(questdb: QuestDB, tmp_path: Path) -> Station:
    """Return a station that recorded bars over some days, all of them in the database."""
    station = Station(tmp_path, store=questdb)
    station.publish(*kit.bars(1, BARS))
    follow(station)
    station.clock.sleep(1000)
    return station


def drop(client: QuestDB) -> None:
    for table in ("journal", "bars"):
        client.query(f"DROP TABLE IF EXISTS {PREFIX}{table}")


def update(client: QuestDB, table: str, change: str) -> None:
    client.query(f"UPDATE {PREFIX}{table} SET {change} WHERE seq = 77")  # noqa: S608 - our own words


def follow(station: Station) -> None:
    """Let recorder and follower work until everything can be read."""
    station.clock.sleep(1)
    station.recorder.step()
    while station.recorder.step():
        pass
    follower = Follower(station.folder, station.store, station.clock, lambda: station.recorder.sequence, station.stored)
    deadline = time.monotonic() + APPLIED_WITHIN
    while station.stored.sequence < station.recorder.sequence:
        try:
            follower.step()
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    follower.close()
    station.recorder.step()
    settle(station.store)


def settle(client: QuestDB) -> int:
    """Wait until everything that was sent can be read, and return the watermark."""
    deadline = time.monotonic() + APPLIED_WITHIN
    while True:
        try:
            return client.watermark()
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def checked(station: Station) -> Verdict:
    settle(station.store)
    return verify(station.folder, [SIGNER.verifier], {}, station.store, station.clock)


def broken(station: Station) -> tuple[int | None, str]:
    verdict = checked(station)
    assert not verdict.ok
    return verdict.first_break, verdict.kind


def test_the_tables_hold_exactly_what_was_recorded(station, questdb):
    verdict = checked(station)
    assert (verdict.ok, verdict.checked, verdict.stored) == (True, LAST, LAST), verdict
    lines = kit.lines(station.folder)
    assert [(row.seq, row.hash.encode(), row.record.encode()) for row in questdb.journal(1, LAST)] == lines
    assert len(questdb.bars(1, LAST)) == BARS
    assert station.pending() == 0


def test_a_replay_changes_nothing_and_brings_back_what_is_gone(station, questdb):
    before = questdb.journal(1, LAST), questdb.bars(1, LAST), questdb.extent()
    assert replay(station.folder, questdb) == LAST
    settle(questdb)
    assert (questdb.journal(1, LAST), questdb.bars(1, LAST), questdb.extent()) == before
    drop(questdb)
    replay(station.folder, questdb)
    settle(questdb)
    assert (questdb.journal(1, LAST), questdb.bars(1, LAST), questdb.extent()) == before


def test_a_row_that_dedup_replaced_in_silence_is_found_and_healed(station, questdb):
    (row,) = questdb.journal(77, 77)
    questdb.write([row._replace(record=row.record.replace("1.0716", "1.0720"))], [])
    assert broken(station) == (77, "hash")
    replay(station.folder, questdb)
    assert checked(station).ok


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("journal", "stream = 'md:other'"),
        ("journal", "agent_id = 'other'"),
        ("journal", "recorded = '2025-01-01'"),
        ("bars", "close = 1.0720"),
        ("bars", "seq = 1"),
    ],
)
def test_a_column_that_was_updated_is_found(station, questdb, table, change):
    update(questdb, table, change)
    # A bar that says it is of the genesis.
    assert broken(station) == (1 if change == "seq = 1" else 77, "projection")


def test_a_hash_that_was_updated_is_found(station, questdb):
    update(questdb, "journal", f"hash = '{'0' * 64}'")
    assert broken(station) == (77, "hash")


def test_a_day_that_was_dropped_is_found_and_written_again_when_the_follower_connects(station, questdb):
    first = next(row for row in questdb.journal(2, LAST) if row.ts >= kit.START + 2 * 86_400_000_000)
    day = time.strftime("%Y-%m-%d", time.gmtime(first.ts // 1_000_000))
    questdb.query(f"ALTER TABLE {PREFIX}journal DROP PARTITION LIST '{day}'")
    assert settle(questdb) < LAST
    missing, kind = broken(station)
    assert kind == "gap"
    assert missing == settle(questdb) + 1
    station.stored.sequence = 0
    follow(station)
    assert checked(station).ok


def test_a_second_row_of_a_record_is_found(station, questdb):
    (row,) = questdb.journal(77, 77)
    questdb.write([row._replace(ts=row.ts + 1)], [])
    assert broken(station) == (77, "fork")


def test_rows_of_no_record_are_found(station, questdb):
    (row,) = questdb.journal(77, 77)
    questdb.write([row._replace(seq=LAST + 5)], [])
    assert broken(station) == (LAST + 1, "truncation")
    # What is complete counts, not what is greatest.
    assert settle(questdb) == LAST


def test_a_bar_that_nobody_sent_is_found(station, questdb):
    (bar,) = questdb.bars(77, 77)
    questdb.write([], [bar._replace(ts=5)])
    assert broken(station) == (77, "projection")


def test_a_bar_that_a_later_one_corrected_is_one_row_and_clean(station, questdb):
    corrections = [kit.bar(sequence, kit.RUN + 1, close="1.0719") for sequence in range(1, BARS + 1)]
    station.publish(*corrections)
    follow(station)
    assert len(questdb.bars(1, 10 * LAST)) == BARS
    assert {bar.close for bar in questdb.bars(1, 10 * LAST)} == {1.0719}
    assert checked(station).ok


def test_a_time_of_the_future_or_the_past_is_stored(station, questdb):
    events = [
        msgspec.structs.replace(kit.bar(BARS + 1), timestamp=0),
        msgspec.structs.replace(kit.bar(BARS + 2), timestamp=7_258_118_400_000_000),
    ]
    station.publish(*events)
    follow(station)
    assert [row.ts for row in questdb.journal(LAST + 1, LAST + 2)] == [0, 7_258_118_400_000_000]
    assert checked(station).ok


def test_any_text_comes_back_as_it_was(questdb):
    questdb.prepare()
    text = 'a"b\\\\c\\t é € 😀 \x7f \u2028 , = ;'
    row = JournalRow(0, 1, 5, f"md:{text}", text, text, "0" * 64, f'{{"x":"{text}"}}')
    bar = BarRow(0, text, text, 9_000_000_000_000_000_000, 0.1, 1e-300, 1e300, 123456789.123456789, 0.0, 1)
    questdb.write([row], [bar])
    settle(questdb)
    assert questdb.journal(1, 1) == [row]
    assert questdb.bars(1, 1) == questdb.bars_at([0]) == [bar]


def test_a_wrong_password_is_one_line(server):
    client = QuestDB(Server(server.host, server.port, server.user, "wrong"), PREFIX)
    with pytest.raises(Unavailable, match=f"refuses user {server.user}"):
        client.prepare()
    client.close()


def test_without_tables_there_is_nothing_to_verify(tmp_path, questdb):
    station = Station(tmp_path)
    with pytest.raises(StationError, match=f"QuestDB has no table {PREFIX}journal"):
        verify(tmp_path, [SIGNER.verifier], {}, questdb, station.clock)
