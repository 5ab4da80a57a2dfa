# SPDX-License-Identifier: Apache-2.0
"""Bars out of the lab's QuestDB: exactly those that are asked for, however many pages they take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from questdb.ingress import Protocol, Sender, TimestampMicros
from station.clock import SystemClock
from station.errors import StationError
from station.feeds.intervals import HOUR, MINUTE
from station.feeds.questdb import Series, Table, basic, client
from station.feeds.replay import Recording, Replay
from station.feeds.rest import Http
from station.journal.questdb import QuestDB, Server

from fleet.model.model import Fleet
from fleet.paths import LAB_INVENTORY, PROJECT
from lab.containers import tunnel
from tests.unit.services.feeds.feeds_kit import NOON, bar, closes

PREFIX = "feedstest_"
NAME = f"{PREFIX}bars"
BTC = Series("BTC/USD", "test", MINUTE)
ODD = Series('O\'Neil & "Co"', "te'st", MINUTE)
NUMBER = 57
PRICES = ["0.1", "85754.8", "1.07083", "1e-8", "123456789.123"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Yield the lab's QuestDB, which listens on its host's loopback only."""
    fleet = Fleet.load(LAB_INVENTORY, PROJECT)
    host = fleet.members["questdb"][0]
    settings = fleet.settings(host)
    user, password = str(settings["questdb_http_user"]), str(settings["questdb_http_password"])
    with tunnel.forwarded_port(host, settings["questdb_http_port"]) as port:
        yield Server("127.0.0.1", port, user, password)


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[Http]:
    made = client(f"http://{server.host}:{server.port}", basic(server.user, server.password), SystemClock())
    yield made
    made.close()


@pytest.fixture(scope="module")
def table(server: Server) -> Iterator[str]:
    """Yield the name of a table with an hour of two symbols, of which one has a difficult name."""
    admin = QuestDB(server, PREFIX)
    drop(admin)
    admin.prepare()
    options = {"username": server.user, "password": server.password, "auto_flush": False}
    with Sender(Protocol.Http, server.host, server.port, **options) as sender, sender.transaction(NAME) as rows:
        for series in (BTC, ODD):
            for number in range(NUMBER):
                prices = dict.fromkeys(("open", "high", "low", "close"), float(PRICES[number % len(PRICES)]))
                rows.row(
                    symbols={"symbol": series.symbol, "source": series.source},
                    columns={"interval": MINUTE, "volume": 1.0, **prices},
                    at=TimestampMicros(NOON + number * MINUTE),
                )
    while admin.query(f"SELECT count() FROM {NAME}") != [[2 * NUMBER]]:  # noqa: S608 - our own words
        SystemClock().sleep(0.05)
    yield NAME
    drop(admin)
    admin.close()


def drop(admin: QuestDB) -> None:
    for name in ("journal", "bars"):
        admin.query(f"DROP TABLE IF EXISTS {PREFIX}{name}")


@pytest.mark.parametrize("page", [1, 7, NUMBER, 1000])
@pytest.mark.parametrize("series", [BTC, ODD])
def test_all_bars_come_in_order_with_their_values(http: Http, table: str, series: Series, page: int):
    found = list(Table(http, table, page).read(series, NOON - 1, NOON + HOUR))
    expected = [
        bar(NOON + number * MINUTE, PRICES[number % len(PRICES)], symbol=series.symbol) for number in range(NUMBER)
    ]
    assert [(one.closed_at, one.bar.open, one.bar.volume) for one in found] == [
        (one.closed_at, one.bar.open, one.bar.volume) for one in expected
    ]
    assert {(one.bar.symbol, one.bar.source, one.bar.interval) for one in found} == {
        (series.symbol, series.source, MINUTE)
    }


def test_a_span_begins_after_its_start_and_ends_with_its_end(http: Http, table: str):
    found = Table(http, table, 2).closes(BTC, NOON + MINUTE, NOON + 4 * MINUTE)
    assert list(found) == [NOON + number * MINUTE for number in (2, 3, 4)]


def test_the_newest_bar_is_known_and_none_of_what_is_not_there(http: Http, table: str):
    reader = Table(http, table)
    assert reader.newest(ODD) == NOON + (NUMBER - 1) * MINUTE
    assert reader.newest(Series("BTC/USD", "test", HOUR)) is None
    assert list(reader.read(Series("nobody", "test", MINUTE), 0, NOON + HOUR)) == []


def test_a_table_can_be_played(http: Http, table: str):
    reader = Table(http, table, 10)
    recording = Recording("table", ("BTC/USD",), MINUTE, (lambda: reader.read(BTC, NOON, NOON + 3 * MINUTE),))
    played = Replay(recording, SystemClock())
    played.open()
    assert closes(played.receive(0.0)) == [1, 2, 3]


def test_a_table_that_is_not_there_and_a_wrong_password_are_one_line_each(http: Http, server: Server):
    with pytest.raises(StationError, match=r"^QuestDB /exec: HTTP 400 .*table does not exist"):
        Table(http, "nothing").newest(BTC)
    stranger = client(f"http://{server.host}:{server.port}", basic(server.user, "wrong"), SystemClock())
    with pytest.raises(StationError, match=r"^QuestDB /exec: HTTP 401 .*the credential is missing, wrong or expired"):
        Table(stranger).newest(BTC)
