"""Real bars through the lab's services: the same bars once in table and stream, however often they are loaded."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest
import redis

from fleet.errors import UserError
from fleet.inventory.model import Fleet
from fleet.lab import sample_data, tunnel
from fleet.lab.bars import Bar, digest, real_bars
from fleet.lab.sample_data import STREAM, History, Summary
from fleet.paths import LAB_INVENTORY, PROJECT

SOURCE = real_bars()
SOCKET = "/run/redis-bus/redis.sock"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module", autouse=True)
def loaded_twice(lines: list[str]) -> tuple[Summary, Summary]:
    return sample_data.load(lines.append), sample_data.load(lines.append)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet.load(LAB_INVENTORY, PROJECT)


@pytest.fixture(scope="module")
def history(fleet: Fleet) -> Iterator[History]:
    with sample_data.open_history(fleet) as history:
        yield history


@pytest.fixture(scope="module")
def bus(fleet: Fleet) -> Iterator[redis.Redis]:
    with sample_data.open_bus(fleet) as bus:
        yield bus


def test_the_second_load_adds_nothing(loaded_twice: tuple[Summary, Summary]):
    second = loaded_twice[1]
    assert (second.table.added, second.stream.added) == (0, 0)
    assert second.table.bars == second.stream.bars == len(SOURCE)


def test_table_and_stream_hold_each_bar_once(history: History, bus: redis.Redis):
    assert (history.count(), bus.xlen(STREAM)) == (len(SOURCE), len(SOURCE))


def test_each_load_says_rows_seconds_and_speed_of_each_service(lines: list[str]):
    assert len(lines) == 4
    assert all("7,148 bars" in line and " s, " in line and "rows/s" in line for line in lines)


def test_sql_finds_the_numbers_of_the_file(history: History):
    first = history.query(
        "SELECT ts, o, h, l, c, v FROM ohlcv WHERE sym = 'EURUSD' AND data_source = 'backtesting' ORDER BY ts LIMIT 1"
    )
    assert first == [
        {"ts": "2017-04-19T10:00:00.000000Z", "o": 1.0716, "h": 1.0722, "l": 1.07083, "c": 1.07219, "v": 1413.0}
    ]
    sums = history.query(
        "SELECT sym, count() AS n, min(ts) AS first, max(ts) AS last, sum(v) AS volume, max(h) AS highest "
        "FROM ohlcv WHERE data_source = 'backtesting' GROUP BY sym ORDER BY sym"
    )
    assert sums == [
        {
            "sym": "EURUSD",
            "n": 5000,
            "first": "2017-04-19T10:00:00.000000Z",
            "last": "2018-02-07T16:00:00.000000Z",
            "volume": sum(bar.v for bar in SOURCE if bar.sym == "EURUSD"),
            "highest": max(bar.h for bar in SOURCE if bar.sym == "EURUSD"),
        },
        {
            "sym": "GOOG",
            "n": 2148,
            "first": "2004-08-19T20:00:00.000000Z",
            "last": "2013-03-01T21:00:00.000000Z",
            "volume": sum(bar.v for bar in SOURCE if bar.sym == "GOOG"),
            "highest": max(bar.h for bar in SOURCE if bar.sym == "GOOG"),
        },
    ]


def test_the_stream_equals_the_table_and_the_source_value_by_value(history: History, bus: redis.Redis):
    table, stream = history.bars(), sample_data.streamed(bus)
    assert stream == SOURCE
    assert sorted(table) == sorted(stream)
    assert digest(table) == digest(stream)


def test_an_entry_that_differs_from_its_bar_is_found(bus: redis.Redis):
    other = [Bar.of(SOURCE[0].to_fields() | {"c": "1.0"}), *SOURCE[1:]]
    with pytest.raises(UserError, match=rf"^{STREAM}: 7,148 bars .* missing Bar"):
        sample_data.publish(bus, other)
    assert sample_data.streamed(bus) == SOURCE


def test_the_publisher_may_not_delete_what_it_published(bus: redis.Redis):
    attempts: list[Callable[[], object]] = [
        lambda: bus.delete(STREAM),
        lambda: bus.xtrim(STREAM, maxlen=0),
        bus.flushall,
    ]
    for destroy in attempts:
        with pytest.raises(redis.exceptions.NoPermissionError):
            destroy()


def test_a_wrong_password_is_one_line(fleet: Fleet):
    settings = fleet.settings("station")
    with tunnel.forwarded_port("station", settings["questdb_http_port"]) as port:
        stranger = History(port, settings["questdb_http_user"], "wrong")
        with pytest.raises(OSError, match="401"):
            stranger.count()


def test_a_host_that_cannot_be_reached_is_one_line():
    with pytest.raises(UserError, match=r"^cannot reach nowhere over ssh: "), tunnel.forwarded_port("nowhere", 9000):
        pass


def test_a_socket_that_is_not_there_is_one_line():
    with (
        pytest.raises(UserError, match=r"^cannot open /run/none of station: FileNotFoundError"),
        tunnel.unix_socket("station", "/run/none", "tradebus"),
    ):
        pass


def test_the_tunnels_are_gone_afterwards():
    before = ssh_children()
    with tunnel.forwarded_port("station", 22), tunnel.unix_socket("station", SOCKET, "tradebus"):
        assert len(ssh_children() - before) == 2
    assert ssh_children() == before


def ssh_children() -> set[str]:
    """Return the ssh processes that this process started and that still exist."""
    command = ["ps", "-o", "pid=,comm=", "--ppid", str(os.getpid())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {line for line in done.stdout.splitlines() if "ssh" in line}
