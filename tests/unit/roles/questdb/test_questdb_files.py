# SPDX-License-Identifier: Apache-2.0
"""The role's own files: the schema, the tested tuple, and the program that writes the tables' state."""

import base64
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from station.journal.questdb import TABLES as SERVICES_TABLES

from fleet.paths import PROJECT
from roles.questdb.library import questdb_migrations as qm

ROLE = PROJECT / "roles/questdb"
FILES = {path.name: path.read_text() for path in sorted((ROLE / "files/migrations").glob("*.sql"))}
TABLES = [[r'a"b\c', True, 7, 5], ["trades", False, 3, 3]]


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            right = base64.b64encode(b"writer:secret").decode()
            self.send_response(200 if self.headers["Authorization"] == f"Basic {right}" else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"dataset": TABLES}).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def write_metrics(server, tmp_path, password: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "password").write_text(password)
    words = [ROLE / "files/table-metrics", server.server_port, "writer", tmp_path / "password", tmp_path / "out.prom"]
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)


def test_the_files_are_a_schema_that_an_empty_database_accepts():
    plan = qm.plan(FILES, [])
    assert len(plan) == len(FILES)
    assert all(migration.verifications for migration in plan)


@pytest.mark.parametrize(("table", "statement"), SERVICES_TABLES.items())
def test_the_services_make_the_very_tables_of_the_schema(table, statement):
    (name,) = (name for name in FILES if name[5:] == f"{table}.sql")
    (migration,) = qm.parse(name, FILES[name]).statements
    assert spelled(migration) == spelled(statement.format(name=table))


def spelled(statement: str) -> str:
    """Return a statement without the spaces and line feeds that only its layout needs."""
    return re.sub(r" ?([(),]) ?", r"\1", " ".join(statement.split()))


def test_no_table_of_the_schema_deletes_history_by_itself():
    assert not any(
        " TTL " in statement.upper() for name in FILES for statement in qm.parse(name, FILES[name]).statements
    )


def test_the_client_of_the_tested_tuple_is_the_one_that_is_locked():
    release = yaml.safe_load((PROJECT / "group_vars/questdb.yml").read_text())["questdb_release"]
    assert release["client"] in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]


def test_a_suspended_table_and_its_backlog_are_written_for_prometheus(server, tmp_path):
    assert write_metrics(server, tmp_path, "secret\n").returncode == 0
    lines = (tmp_path / "out.prom").read_text().splitlines()
    assert 'questdb_table_suspended{table="a\\"b\\\\c"} 1' in lines
    assert 'questdb_table_suspended{table="trades"} 0' in lines
    assert 'questdb_table_pending_transactions{table="a\\"b\\\\c"} 2' in lines
    assert (tmp_path / "out.prom").stat().st_mode & 0o777 == 0o644


def test_a_server_that_refuses_leaves_the_last_state_and_no_half_file(server, tmp_path):
    (tmp_path / "out.prom").write_text("old\n")
    assert write_metrics(server, tmp_path, "wrong").returncode != 0
    assert (tmp_path / "out.prom").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.prom", "password"]
