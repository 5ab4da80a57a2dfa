# SPDX-License-Identifier: Apache-2.0
"""The database's client against a server that answers as QuestDB does, and as it does when it is unwell."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from station.errors import Unavailable
from station.journal.questdb import QuestDB, Server
from station.journal.rows import BarRow, JournalRow

PASSWORD = "half;of it"
ROW = JournalRow(5, 1, 17, "md:replay", "replay", "MarketEvent", "ab", '{"a":"b"}')
BAR = BarRow(5, "EURUSD", "replay", 60_000_000, 1.0, 3.0, 0.5, 2.0, 7.0, 1)
CALM = [["journal", False, 0], ["bars", False, 0], ["trades", True, 9]]


class Database(ThreadingHTTPServer):
    """What the server says: by the beginning of a statement, and to rows that are sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.sent: list[bytes] = []
        self.answers: dict[str, Any] = {"SELECT name": CALM, "SELECT count(), coalesce": [[0, 0]]}
        self.status = 204
        self.sequences: list[int] = []


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Database
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/settings"):
            self.reply(200, {"config": {"line.proto.support.versions": [1, 2], "cairo.max.file.name.length": 127}})
            return
        token = base64.b64encode(f"writer:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {token}":
            self.reply(401, {})
            return
        sql = parse_qs(urlparse(self.path).query)["query"][0]
        self.server.asked.append(sql)
        if sql.startswith("SELECT count()") and "BETWEEN 1 AND" in sql:
            last = int(sql.rsplit(" ", 1)[1])
            self.reply(200, {"dataset": [[sum(1 <= number <= last for number in self.server.sequences)]]})
            return
        for start, answer in self.server.answers.items():
            if sql.startswith(start):
                if isinstance(answer, bytes):
                    self.reply(200, answer)
                elif isinstance(answer, str):
                    self.reply(400, {"query": sql, "error": answer, "position": 1})
                else:
                    self.reply(200, {"query": sql, "columns": [], "dataset": answer, "count": len(answer)})
                return
        self.reply(200, {"ddl": "OK"})

    def do_POST(self) -> None:
        self.server.sent.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(self.server.status, b"")

    def reply(self, status: int, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[Database]:
    with Database() as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(database: Database) -> Iterator[QuestDB]:
    client = QuestDB(Server("127.0.0.1", database.server_port, "writer", PASSWORD, timeout=5))
    yield client
    client.close()


def test_the_tables_are_made_if_they_are_not_there(client, database):
    client.prepare()
    assert [sql.split(" (")[0] for sql in database.asked] == [
        "CREATE TABLE IF NOT EXISTS journal",
        "CREATE TABLE IF NOT EXISTS bars",
    ]
    assert all("DEDUP UPSERT KEYS(ts, " in sql for sql in database.asked)


def test_rows_are_one_transaction_a_table_those_of_the_journal_last(client, database):
    client.write([ROW, ROW._replace(seq=2)], [BAR])
    assert [data.split(b",")[0] for data in database.sent] == [b"bars", b"journal"]
    assert database.sent[1].count(b"journal,stream=md:replay,agent_id=replay,type=MarketEvent ") == 2


def test_nothing_is_sent_of_nothing(client, database):
    client.write([], [])
    assert database.sent == []


def test_rows_that_are_not_taken_can_be_sent_again(client, database):
    database.status = 400
    with pytest.raises(Unavailable, match=r"QuestDB at 127.0.0.1:\d+ does not store: "):
        client.write([ROW], [])
    database.status = 204
    client.write([ROW], [])
    assert len(database.sent) == 2


def test_the_watermark_is_the_greatest_sequence_if_no_row_is_missing(client, database):
    assert client.watermark() == 0
    database.answers["SELECT count(), coalesce"] = [[7, 7]]
    assert client.watermark() == 7
    assert not any("BETWEEN" in sql for sql in database.asked)


@pytest.mark.parametrize(
    ("sequences", "watermark"),
    [([2, 3], 0), ([1, 2, 4, 5, 6], 2), ([1, 2, 3, 9], 3), ([1, 2, 2, 3], 3), ([1, 2, 3, 4, 5, 7], 5)],
)
def test_the_watermark_lies_before_the_first_row_that_is_missing(client, database, sequences, watermark):
    database.sequences = sequences
    database.answers["SELECT count(), coalesce"] = [[len(sequences), max(sequences)]]
    assert client.watermark() == watermark


def test_while_rows_wait_to_be_applied_there_is_no_watermark(client, database):
    database.answers["SELECT name"] = [["journal", False, 3], ["bars", False, 0]]
    with pytest.raises(Unavailable, match="still applies 3 transactions to journal"):
        client.watermark()


def test_suspended_tables_are_told_to_go_on_and_that_is_said(client, database):
    database.answers["SELECT name"] = [["journal", True, 3], ["bars", True, 0]]
    with pytest.raises(Unavailable, match="had suspended journal, bars; told it to go on"):
        client.check()
    assert database.asked[1:] == ["ALTER TABLE journal RESUME WAL", "ALTER TABLE bars RESUME WAL"]
    with pytest.raises(Unavailable, match="had suspended"):
        client.watermark()


def test_a_verifier_changes_nothing_of_a_suspended_table(client, database):
    database.answers["SELECT name"] = [["journal", False, 0], ["bars", True, 0]]
    with pytest.raises(Unavailable, match="has suspended bars"):
        client.extent()
    assert not any("ALTER" in sql for sql in database.asked)


def test_a_table_that_is_not_there_is_one_line(client, database):
    database.answers["SELECT name"] = []
    with pytest.raises(Unavailable, match="has no table journal"):
        client.extent()


@pytest.mark.parametrize("answer", ["table busy [reason=unknown]", b'{"dataset":[[1,', b"", b'{"error":"\xff"}'])
def test_an_answer_that_is_none_is_a_reason_to_ask_again(client, database, answer):
    database.answers = {"SELECT": answer}
    with pytest.raises(Unavailable, match=r"QuestDB at 127.0.0.1:\d+"):
        client.query("SELECT 1")


def test_a_wrong_password_does_not_stop_the_journal(database):
    client = QuestDB(Server("127.0.0.1", database.server_port, "writer", "wrong"))
    with pytest.raises(Unavailable, match="refuses user writer; give the journal that user's password"):
        client.prepare()
    client.close()


def test_nobody_there_is_a_reason_to_ask_again(database):
    port = database.server_port
    client = QuestDB(Server("127.0.0.1", port, "writer", PASSWORD))
    database.shutdown()
    database.server_close()
    with pytest.raises(Unavailable, match="does not answer"):
        client.query("SELECT 1")
    with pytest.raises(Unavailable, match="does not store"):
        client.write([ROW], [])
    client.close()
    client.close()


def test_the_password_is_not_in_what_is_printed():
    assert PASSWORD not in repr(Server("127.0.0.1", 9000, "writer", PASSWORD))


def test_rows_are_asked_for_by_sequence_and_bars_by_close_too(client, database):
    database.answers["SELECT cast(ts AS LONG), seq"] = [list(ROW)]
    database.answers["SELECT cast(ts AS LONG), symbol"] = [list(BAR)]
    assert client.journal(1, 9) == [ROW]
    assert client.bars(1, 9) == [BAR]
    assert client.bars_at([5, 1_763_715_600_000_001]) == [BAR]
    assert database.asked[0].endswith("FROM journal WHERE seq BETWEEN 1 AND 9 ORDER BY seq")
    assert database.asked[-1].endswith(
        "FROM bars WHERE ts IN ('1970-01-01T00:00:00.000005Z', '2025-11-21T09:00:00.000001Z')"
    )
    assert client.bars_at([]) == []
    client.bars_at(list(range(401)))
    assert len([sql for sql in database.asked if "ts IN" in sql]) == 4
