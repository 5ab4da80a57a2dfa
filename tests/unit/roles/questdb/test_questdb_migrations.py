# SPDX-License-Identifier: Apache-2.0
"""Which SQL files are applied, which are refused, and what an interruption leaves behind."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.questdb.library import questdb_migrations as qm

ONE = "CREATE TABLE IF NOT EXISTS a (ts TIMESTAMP) TIMESTAMP(ts);\n-- verify: SELECT true\n"
TWO = "ALTER TABLE a ADD COLUMN IF NOT EXISTS b LONG;"
FILES = {"0001_a.sql": ONE, "0002_b.sql": TWO}


def sha(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def applied(*names: str) -> list[qm.Applied]:
    return [qm.Applied(int(name[:4]), name, sha(FILES[name])) for name in names]


def pending(files: dict[str, str], *names: str) -> list[str]:
    return [migration.name for migration in qm.plan(files, applied(*names))]


class FakeQuestDB:
    """Answers the module's questions from memory; `fail_at` breaks the n-th statement that changes something."""

    def __init__(self, verified: bool = True, fail_at: int | None = None) -> None:
        self.tables: dict[str, qm.Table] = {}
        self.rows: list[qm.Row] = []
        self.statements: list[str] = []
        self.verified = verified
        self.fail_at = fail_at

    def query(self, sql: str) -> list[qm.Row]:
        if "wal_tables" in sql:
            return [
                {"name": t.name, "suspended": t.suspended, "writerTxn": t.written, "sequencerTxn": t.sequenced}
                | {"errorTag": t.error, "errorMessage": ""}
                for t in self.tables.values()
            ]
        if sql == qm.TABLE_EXISTS:
            return [{"table_name": qm.TABLE}] if qm.TABLE in self.tables else []
        if sql == qm.READ_APPLIED:
            return self.rows
        if sql == "SELECT true":
            return [{"true": self.verified}]
        return self.change(sql)

    def change(self, sql: str) -> list[qm.Row]:
        if self.fail_at == len(self.statements):
            raise qm.MigrationError("the server went away")
        self.statements.append(sql)
        created = re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", sql)
        if created:
            self.tables.setdefault(created[1], qm.Table(created[1], False, 0, 0))
        inserted = re.search(r"VALUES \(\d+, (\d+), '(.+)', '(.+)'\)", sql)
        if inserted:
            self.rows.append({"number": int(inserted[1]), "name": inserted[2], "sha256": inserted[3]})
        return []


def test_an_empty_database_gets_every_file_in_order():
    assert pending(dict(reversed(FILES.items()))) == ["0001_a.sql", "0002_b.sql"]


def test_an_applied_file_is_not_applied_again():
    assert pending(FILES, "0001_a.sql") == ["0002_b.sql"]
    assert pending(FILES, "0001_a.sql", "0002_b.sql") == []


def test_an_applied_file_that_has_changed_is_refused_by_name():
    with pytest.raises(qm.MigrationError, match=r"0001_a\.sql: changed after it was applied .* write a new migration"):
        pending({**FILES, "0001_a.sql": ONE + " "}, "0001_a.sql")


def test_an_applied_file_that_is_gone_is_refused():
    with pytest.raises(qm.MigrationError, match=r"0002_b\.sql: applied to this database but not among the files"):
        pending({"0001_a.sql": ONE}, "0001_a.sql", "0002_b.sql")


def test_a_gap_is_refused():
    with pytest.raises(qm.MigrationError, match=r"0003_c\.sql: 0002 is missing before it"):
        pending({"0001_a.sql": ONE, "0003_c.sql": TWO})


def test_a_number_that_is_used_twice_is_refused_with_both_names():
    with pytest.raises(qm.MigrationError, match=r"0002_c\.sql: has the number of 0002_b\.sql"):
        pending({**FILES, "0002_c.sql": TWO})


def test_a_number_below_the_newest_applied_is_refused():
    with pytest.raises(qm.MigrationError, match=r"0001_a\.sql: below 0002, the newest applied"):
        pending(FILES, "0002_b.sql")


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "0001_A.sql", "0001_a.txt", "0001_a';.sql"])
def test_a_file_name_without_number_and_words_is_refused(name):
    with pytest.raises(qm.MigrationError, match=r"named 0001_words\.sql"):
        qm.parse(name, ONE)


@pytest.mark.parametrize(
    "sql",
    ["CREATE TABLE a (ts TIMESTAMP)", "alter table a add  column b LONG", "DROP TABLE a", "CREATE\nTABLE a (b LONG)"],
)
def test_a_statement_that_cannot_run_twice_is_refused(sql):
    with pytest.raises(qm.MigrationError, match=r"must say IF \[NOT\] EXISTS"):
        qm.parse("0001_a.sql", sql)


@pytest.mark.parametrize("sql", ["", "-- only words;", " ; ;"])
def test_a_file_without_a_statement_is_refused(sql):
    with pytest.raises(qm.MigrationError, match="holds no statement"):
        qm.parse("0001_a.sql", sql)


def test_semicolons_in_quotes_and_comments_end_no_statement():
    sql = "SELECT ';', \";\"; -- a; b\n/* c; */ SELECT 'it''s;';"
    assert qm.split_statements(sql) == ("SELECT ';', \";\"", "SELECT 'it''s;'")


@given(st.lists(st.text("abc ';-\n", max_size=9).map(lambda text: "SELECT '" + text.replace("'", "''") + "'")))
def test_statements_joined_by_semicolons_are_found_again(statements):
    assert qm.split_statements(";\n".join(statements)) == tuple(statements)


@given(st.integers(0, 12), st.integers(0, 12))
def test_what_is_applied_and_what_is_pending_is_always_the_whole(total, done):
    files = {f"{number:04}_x.sql": f"SELECT {number}" for number in range(1, total + 1)}
    recorded = [qm.Applied(int(name[:4]), name, sha(sql)) for name, sql in list(files.items())[:done]]
    plan = qm.plan(files, recorded)
    assert [row.name for row in recorded] + [migration.name for migration in plan] == list(files)


def test_a_run_applies_verifies_and_records_and_the_next_finds_nothing_to_do():
    server = FakeQuestDB()
    assert qm.migrate(server.query, FILES, 1, check=False)["applied"] == list(FILES)
    assert [(row["name"], row["sha256"]) for row in server.rows] == [(name, sha(sql)) for name, sql in FILES.items()]
    assert qm.migrate(server.query, FILES, 1, check=False) == {"changed": False, "applied": []}


def test_a_dry_run_reports_and_changes_nothing():
    server = FakeQuestDB()
    result = qm.migrate(server.query, FILES, 1, check=True)
    assert (result["changed"], result["applied"]) == (True, list(FILES))
    assert server.statements == []


@pytest.mark.parametrize("fail_at", range(6))
def test_a_run_that_breaks_off_anywhere_is_completed_by_the_next(fail_at):
    server = FakeQuestDB(fail_at=fail_at)
    with pytest.raises(qm.MigrationError, match="went away"):
        qm.migrate(server.query, FILES, 1, check=False)
    server.fail_at = None
    qm.migrate(server.query, FILES, 1, check=False)
    assert [row["number"] for row in server.rows] == [1, 2]


def test_a_table_that_exists_with_other_columns_is_not_taken_for_the_declared_one():
    server = FakeQuestDB(verified=False)
    with pytest.raises(qm.MigrationError, match=r"0001_a\.sql: applied, but not true: SELECT true"):
        qm.migrate(server.query, FILES, 1, check=False)
    assert server.rows == []


def test_a_suspended_table_fails_even_when_nothing_is_pending():
    server = FakeQuestDB()
    qm.migrate(server.query, FILES, 1, check=False)
    server.tables["a"] = qm.Table("a", True, 1, 2, "DISK FULL")
    with pytest.raises(qm.MigrationError, match=r"suspended .*: a \(DISK FULL\); .* RESUME WAL"):
        qm.migrate(server.query, FILES, 1, check=True)


def test_a_log_that_is_not_applied_in_time_fails_by_name():
    server = FakeQuestDB()
    server.tables["slow"] = qm.Table("slow", False, 1, 2)
    with pytest.raises(qm.MigrationError, match="write-ahead log of slow was not applied within 1 s"):
        qm.settle(server.query, 1, sleep=lambda _: None)


def test_rows_that_arrive_meanwhile_are_not_waited_for():
    server = FakeQuestDB()
    server.tables["busy"] = qm.Table("busy", False, 1, 2)

    def more(_: float) -> None:
        server.tables["busy"] = qm.Table("busy", False, 2, 9)

    qm.settle(server.query, 1, sleep=more)


@pytest.fixture
def http_server() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            token = base64.b64decode(self.headers.get("Authorization", "Basic ").split()[1]).decode()
            query = parse_qs(urlparse(self.path).query)["query"][0]
            status, body = 200, {"columns": [{"name": "x"}], "dataset": [[query]]}
            if token != "writer:secret":
                status, body = 401, {}
            elif query == "bad":
                status, body = 400, {"query": "bad", "error": "unexpected\ntoken", "position": 0}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def test_an_answer_becomes_rows(http_server):
    assert qm.Server(http_server, "writer", "secret", 5).query("a b") == [{"x": "a b"}]


def test_an_error_of_the_server_is_one_line(http_server):
    with pytest.raises(qm.MigrationError, match=r"answers 400: unexpected token$"):
        qm.Server(http_server, "writer", "secret", 5).query("bad")


def test_a_refused_password_is_said_and_not_shown(http_server):
    with pytest.raises(qm.MigrationError, match="refuses the user name or the password") as error:
        qm.Server(http_server, "writer", "wrong-word", 5).query("a")
    assert "wrong-word" not in str(error.value)


def test_a_server_that_does_not_answer_is_said_with_its_address():
    with pytest.raises(qm.MigrationError, match=r"127\.0\.0\.1:1 does not answer: .*refused"):
        qm.Server(1, "writer", "secret", 5).query("a")
