# SPDX-License-Identifier: Apache-2.0
"""QuestDB keeps what it acknowledged, lets nobody in without a password, and runs with what it was given."""

# ruff: noqa: S608 - the table names are the test's own

import hashlib
import json
import re
import secrets
import time
from pathlib import PurePosixPath
from typing import Any

import pytest

from fleet.paths import PROJECT
from tests.host.state import exposure, owned, refused

UNIT = "questdb.service"
FILES = sorted((PROJECT / "roles/questdb/files/migrations").glob("*.sql"))
TABLES = [path.stem.partition("_")[2] for path in FILES]
METRICS = "/var/lib/prometheus/node-exporter/questdb.prom"

# Runs on the host: a password goes from its file into the request and into no argument.
HTTP = """
import base64, sys, urllib.error, urllib.request
url, user, password, body = sys.argv[1:]
request = urllib.request.Request(url, data=body.encode() or None)
if user:
    password = open(password[1:]).read().strip() if password.startswith("@") else password
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""

# The least of the PostgreSQL protocol: log in with a clear-text password, run one statement, print rows or the error.
POSTGRES = r"""
import socket, struct, sys
port, user, password, sql = sys.argv[1:]
password = open(password[1:]).read().strip() if password.startswith("@") else password
def send(kind, body):
    connection.sendall(kind + struct.pack("!i", len(body) + 4) + body)
connection = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
send(b"", struct.pack("!i", 196608) + b"user\0" + user.encode() + b"\0database\0qdb\0\0")
stream, ready, rows = connection.makefile("rb"), 0, []
while ready < 2:
    kind, size = stream.read(1), stream.read(4)
    if not kind:
        sys.exit("ERROR connection closed")
    body = stream.read(struct.unpack("!i", size)[0] - 4)
    if kind == b"R" and struct.unpack("!i", body[:4])[0] == 3:
        send(b"p", password.encode() + b"\0")
    elif kind == b"E":
        sys.exit("ERROR " + " ".join(part[1:].decode() for part in body.split(b"\0") if part[:1] == b"M"))
    elif kind == b"D":
        values, at = [], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            size = struct.unpack("!i", body[at:at + 4])[0]
            values.append(body[at + 4:at + 4 + max(size, 0)].decode())
            at += 4 + max(size, 0)
        rows.append(values)
    elif kind == b"Z":
        ready += 1
        if ready == 1:
            send(b"Q", sql.encode() + b"\0")
print(rows)
"""

# Looks for every password, plain and as a basic-auth token, where others could read it; prints where it was found.
LEAKS = """
import base64, glob, pathlib, subprocess, sys
pid = sys.argv[1]
words = []
for path in glob.glob("/etc/credstore/questdb-*"):
    word = pathlib.Path(path).read_text().strip()
    words += [word.encode(), *(base64.b64encode(f"{user}:{word}".encode()) for user in sys.argv[2:])]
assert len(words) >= 3
run = lambda *command: subprocess.run(command, capture_output=True, check=True).stdout
places = {
    "argv": pathlib.Path(f"/proc/{pid}/cmdline").read_bytes(),
    "environ": pathlib.Path(f"/proc/{pid}/environ").read_bytes(),
    "journal": run("journalctl", "--boot", "--no-pager", "--output=cat"),
    "properties": run("systemctl", "show", "questdb.service", "questdb-table-metrics.service"),
    **{path: pathlib.Path(path).read_bytes() for path in glob.glob("/etc/questdb/*")},
    **{path: pathlib.Path(path).read_bytes() for path in glob.glob("/etc/systemd/system/questdb*")},
}
print([place for place, text in places.items() if any(word in text for word in words)])
"""


class Database:
    """The server under test, asked from its own host."""

    def __init__(self, host, settings) -> None:
        self.host, self.settings = host, settings

    def http(self, path: str, user: str = "", password: str = "", body: str = "") -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.settings['questdb_http_port']}{path}"
        answer = self.host.check_output("python3 -c %s %s %s %s %s", HTTP, url, user, password, body)
        status, _, text = answer.partition(" ")
        return int(status), text

    def write(self, lines: str) -> tuple[int, str]:
        """Send ILP over HTTP, as the official client does."""
        user = self.settings["questdb_http_user"]
        return self.http("/write?precision=u", user, "@/etc/credstore/questdb-http", lines)

    def sql(self, statement: str) -> list[Any]:
        path = "/exec?query=" + self.quote(statement)
        status, text = self.http(path, self.settings["questdb_http_user"], "@/etc/credstore/questdb-http")
        assert status == 200, text
        rows: list[Any] = json.loads(text).get("dataset", [])
        return rows

    def pg(self, user: str, password: str, statement: str):
        port = str(self.settings["questdb_pg_port"])
        return self.host.run("python3 -c %s %s %s %s %s", POSTGRES, port, user, password, statement)

    def read(self, statement: str, rows: int) -> list[Any]:
        """Ask until as many rows are readable: a commit is in the log first and in the table a moment later."""
        for _ in range(50):
            found = self.sql(statement)
            if len(found) >= rows:
                break
            time.sleep(0.2)
        return found

    def settled(self, table: str) -> None:
        pending = f"SELECT name FROM wal_tables() WHERE name = '{table}' AND writerTxn < sequencerTxn"
        for _ in range(50):
            if not self.sql(pending):
                return
            time.sleep(0.2)
        raise AssertionError(f"the write-ahead log of {table} is not applied")

    @staticmethod
    def quote(text: str) -> str:
        return "".join(c if c.isalnum() else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


@pytest.fixture
def database(host, settings) -> Database:
    return Database(host, settings)


@pytest.fixture
def scratch(database):
    """A table of the schema's kind that is gone after the test: rows of a write-ahead-log table cannot be deleted."""
    name = f"test_scratch_{secrets.token_hex(4)}"
    columns = "ts TIMESTAMP, chain_id SYMBOL, seq LONG, note VARCHAR"
    keys = "DEDUP UPSERT KEYS(ts, chain_id, seq)"
    database.sql(f"CREATE TABLE {name} ({columns}) TIMESTAMP(ts) PARTITION BY DAY WAL {keys}")
    yield name
    database.sql(f"DROP TABLE {name}")


@pytest.fixture
def pid(host) -> int:
    return int(host.check_output(f"systemctl show --property=MainPID --value {UNIT}"))


def test_a_row_that_is_written_can_be_read(database, scratch):
    status, text = database.write(f'{scratch},chain_id=a seq=1i,note="grüße" 1700000000000001\n')
    assert status == 204, text
    (row,) = database.read(f"SELECT * FROM {scratch}", 1)
    assert row == ["2023-11-14T22:13:20.000001Z", "a", 1, "grüße"]


def test_a_row_that_is_sent_twice_is_one_row(database, scratch):
    line = f'{scratch},chain_id=a seq=1i,note="x" 1700000000000001\n'
    other = line.replace("seq=1i", "seq=2i")
    for body in (line, line, other):
        assert database.write(body)[0] == 204
    database.settled(scratch)
    assert database.sql(f"SELECT seq, count() FROM {scratch} ORDER BY seq") == [[1, 1], [2, 1]]


@pytest.mark.disruptive
def test_a_committed_row_survives_a_killed_server(host, database, settings, scratch, pid):
    assert database.write(f'{scratch},chain_id=a seq=7i,note="kept" 1700000000000001\n')[0] == 204
    host.check_output(f"kill -KILL {pid}")
    wait_until_it_answers(host, settings)
    assert database.read(f"SELECT seq, note FROM {scratch}", 1) == [[7, "kept"]]
    assert int(host.check_output(f"systemctl show --property=MainPID --value {UNIT}")) != pid


def wait_until_it_answers(host, settings) -> None:
    health = f"http://127.0.0.1:{settings['questdb_health_port']}/status"
    code = "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)"
    deadline = time.monotonic() + 120
    while host.run("python3 -c %s %s", code, health).rc != 0:
        assert time.monotonic() < deadline, "the server did not come back"
        time.sleep(1)


@pytest.mark.disruptive
def test_a_file_that_a_power_cut_left_empty_does_not_keep_it_down(host, settings):
    host.check_output(f"systemctl stop {UNIT}")
    try:
        host.check_output(f"truncate --size=0 {settings['questdb_root']}/public/version.txt")
    finally:
        host.check_output(f"systemctl start {UNIT}")
    wait_until_it_answers(host, settings)


def test_a_misspelt_table_is_an_error_and_not_a_new_table(database):
    status, text = database.write("test_misspelt,chain_id=a seq=1i 1700000000000001\n")
    assert status == 400, text
    assert database.sql("SELECT table_name FROM tables() WHERE table_name = 'test_misspelt'") == []


def test_a_misspelt_column_is_an_error_and_writes_nothing(database, scratch):
    status, text = database.write(f"{scratch},chain_id=a sequence=1i 1700000000000001\n")
    assert status == 400, text
    database.settled(scratch)
    assert database.sql(f"SELECT * FROM {scratch}") == []


@pytest.mark.parametrize(
    "path", ["/exec?query=SELECT%201", "/exp?query=SELECT%201", "/write", "/imp?name=x", "/settings?version=0"]
)
@pytest.mark.parametrize("user", ["", "admin", "WRITER"])
def test_nobody_enters_over_http_without_the_password(database, settings, path, user):
    user = settings["questdb_http_user"] if user == "WRITER" else user
    body = "x y=1 1\n" if path.startswith(("/write", "/settings")) else ""
    assert database.http(path, user, "quest" if user else "", body)[0] == 401


@pytest.mark.parametrize(("user", "password"), [("admin", "quest"), ("user", "quest"), ("reader", "quest"), ("", "")])
def test_nobody_enters_over_postgres_without_the_password(database, user, password):
    answer = database.pg(user, password, "SELECT 1")
    assert "ERROR" in answer.stderr
    assert re.search(r"invalid username/password|closed|user", answer.stderr), answer.stderr


def test_the_administrator_writes_over_postgres(database, settings, scratch):
    values = "(1700000000000001, 'a', 3, 'pg')"
    insert = f"INSERT INTO {scratch} (ts, chain_id, seq, note) VALUES {values}"
    answer = database.pg(settings["questdb_pg_user"], "@/etc/credstore/questdb-pg", insert)
    assert answer.rc == 0, f"declared to be written: {answer.stderr}"
    assert database.read(f"SELECT seq FROM {scratch}", 1) == [[3]]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {0} (ts, seq) VALUES (1700000000000001, 1)",
        "UPDATE {0} SET seq = 2",
        "TRUNCATE TABLE {0}",
        "DROP TABLE {0}",
        "ALTER TABLE {0} ADD COLUMN x LONG",
        "CREATE TABLE test_by_reader (ts TIMESTAMP)",
    ],
)
def test_the_reader_may_read_and_not_write(database, settings, scratch, statement):
    user, password = settings["questdb_pg_readonly_user"], "@/etc/credstore/questdb-pg-readonly"
    assert database.pg(user, password, "SELECT 1").stdout.strip() == "[['1']]"
    answer = database.pg(user, password, statement.format(scratch))
    assert "permission" in answer.stderr.lower()


def test_only_the_loopback_address_is_listened_on(host, settings, pid):
    sockets = {
        line.split()[3]
        for line in host.check_output("ss --tcp --listening --numeric --processes --no-header").splitlines()
        if f"pid={pid}," in line
    }
    ports = (settings[f"questdb_{name}_port"] for name in ("http", "health", "pg"))
    assert {name.removeprefix("[::ffff:").replace("]", "") for name in sockets} == {
        f"127.0.0.1:{port}" for port in ports
    }


def test_no_datagram_is_listened_for(host, pid):
    assert f"pid={pid}," not in host.check_output("ss --udp --listening --numeric --processes --no-header")


def test_the_running_server_has_the_declared_settings(database, settings):
    rows = database.sql("SELECT property_path, value, value_source FROM (SHOW PARAMETERS)")
    values = {path: (value, source) for path, value, source in rows}
    wanted = {
        "cairo.commit.mode": settings["questdb_commit_mode"],
        "telemetry.enabled": "false",
        "telemetry.disable.completely": "true",
        "line.tcp.enabled": "false",
        "line.auto.create.new.tables": "false",
        "line.auto.create.new.columns": "false",
        "ram.usage.limit.bytes": str(settings["questdb_native_mib"] * 1024 * 1024),
    }
    found = {path: values[path][0] for path in wanted}
    # The server prints a size as it is written in its file.
    found["ram.usage.limit.bytes"] = str(int(found["ram.usage.limit.bytes"].rstrip("m")) * 1024 * 1024)
    assert found == wanted
    secret = ("http.password", "pg.password", "pg.readonly.password")
    assert {path: values[path] for path in secret} == dict.fromkeys(secret, ("****", "file"))


def test_the_process_runs_with_the_declared_limits(host, settings, pid):
    def open_files(process: int) -> tuple[int, int]:
        words = host.check_output(f"grep 'Max open files' /proc/{process}/limits").split()
        return int(words[3]), int(words[4])

    # A container engine's own limit wins without an error.
    wanted = min(settings["questdb_open_files"], max(open_files(1)[1], open_files(pid)[1]))
    assert open_files(pid) == (wanted, wanted)
    words = host.check_output(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()
    assert {f"-Xms{settings['questdb_heap_mib']}m", f"-Xmx{settings['questdb_heap_mib']}m"} <= set(words)
    assert host.check_output(f"stat --format=%U /proc/{pid}") == "questdb"
    if settings["questdb_cpus"]:
        allowed = host.check_output(f"grep Cpus_allowed_list /proc/{pid}/status").split()[1]
        assert allowed == settings["questdb_cpus"]


def test_the_process_is_the_tested_tuple(host, settings, pid):
    release = settings["questdb_release"]
    jar = f"/opt/questdb/questdb-{release['version']}.jar"
    assert host.file(jar).sha256sum == release["sha256"]
    assert jar in host.check_output(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()
    system = host.system_info
    key = f"{system.distribution}-{system.release if system.distribution == 'ubuntu' else system.release.split('.')[0]}"
    java = release["java"][key].split("-")[1]
    assert PurePosixPath(host.check_output(f"readlink /proc/{pid}/exe")).parts[4].split("-")[:2] == ["java", java]


def test_the_native_libraries_are_read_only_files_of_root(host, pid):
    lines = host.check_output(f"grep libquestdb /proc/{pid}/maps").splitlines()
    paths = {line.split()[5] for line in lines}
    assert paths, "the process has no native library"
    for path in paths:
        assert path.split("/")[:3] == ["", "opt", "questdb"], path
        assert (host.file(path).user, host.file(path).mode & 0o022) == ("root", 0), path


@pytest.mark.parametrize(("unit", "highest"), [(UNIT, 3.0), ("questdb-table-metrics.service", 2.0)])
def test_the_units_are_hardened(host, unit, highest):
    assert exposure(host, unit) <= highest


def test_other_users_cannot_read_the_data_or_the_passwords(host, settings):
    passwords = ["questdb-http", "questdb-pg", "questdb-pg-readonly"]
    for path in (settings["questdb_root"], *(f"/etc/credstore/{name}" for name in passwords)):
        refused(host, f"runuser --user nobody -- cat {path}/. {path}")
        refused(host, f"runuser --user nobody -- ls {path}/")
    for name in passwords:
        assert owned(host, f"/etc/credstore/{name}") == "root:root 600", name


def test_no_password_is_visible_in_arguments_environment_journal_or_files(host, settings, pid):
    users = [settings[f"questdb_{name}_user"] for name in ("http", "pg", "pg_readonly")]
    words = " ".join(["python3 -c %s %s", *["%s"] * len(users)])
    assert host.check_output(words, LEAKS, str(pid), *users) == "[]"


def test_every_file_of_the_schema_is_recorded_with_its_checksum(database):
    recorded = database.sql("SELECT DISTINCT number, name, sha256 FROM schema_migrations ORDER BY number")
    assert recorded == [
        [int(path.name[:4]), path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in FILES
    ]


def test_the_tables_are_idempotent_and_keep_history(database):
    rows = database.sql("SELECT table_name, walEnabled, dedup, designatedTimestamp, ttlValue FROM tables()")
    found = {row[0]: row[1:] for row in rows}
    assert {name: found[name] for name in TABLES} == {name: [True, True, "ts", 0] for name in TABLES}
    for name in TABLES:
        keys = database.sql(f"SELECT \"column\" FROM table_columns('{name}') WHERE upsertKey")
        assert ["ts"] in keys
        assert len(keys) >= 2


def test_no_table_is_suspended(database):
    assert database.sql("SELECT name, errorMessage FROM wal_tables() WHERE suspended") == []


def test_the_state_of_every_table_is_written_for_prometheus(host):
    host.check_output("systemctl start questdb-table-metrics.service")
    lines = host.file(METRICS).content_string.splitlines()
    for table in [*TABLES, "schema_migrations"]:
        assert f'questdb_table_suspended{{table="{table}"}} 0' in lines
    assert host.check_output("systemctl is-active questdb-table-metrics.timer") == "active"


def test_metrics_and_health_answer_without_a_password(host, settings):
    address = f"http://127.0.0.1:{settings['questdb_health_port']}"
    code = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
    assert "questdb_commits_total" in host.check_output("python3 -c %s %s", code, f"{address}/metrics")
    assert "Healthy" in host.check_output("python3 -c %s %s", code, f"{address}/status")
    assert {"job": "questdb", "port": settings["questdb_health_port"], "scope": "loopback"} in settings[
        "questdb_scrape"
    ]
