# SPDX-License-Identifier: Apache-2.0
"""What QuestDB could not run with is refused in one line, and the server that runs keeps running as it was."""

# ruff: noqa: S608 - the table names are the test's own

import json
import shutil
import subprocess
import time
from typing import Any

import pytest
import yaml

from fleet.paths import PROJECT

HOST = "station"
SSH = ["ssh", "-F", str(PROJECT / ".lab/ssh_config"), HOST]
RELEASE = yaml.safe_load((PROJECT / "group_vars/questdb.yml").read_text())["questdb_release"]
CACHE = PROJECT / "build/artifacts"
TABLE = "test_suspended"
DAMAGED = ["questdb_release.sha256: ", "run again if the file was damaged"]

# Runs on the host, as root: SQL with the password from its file.
SQL = """
import base64, json, pathlib, sys, urllib.parse, urllib.request
token = base64.b64encode(b"writer:" + pathlib.Path("/etc/credstore/questdb-http").read_bytes().strip()).decode()
for statement in sys.argv[1:]:
    url = "http://127.0.0.1:9000/exec?" + urllib.parse.urlencode({"query": statement})
    request = urllib.request.Request(url, headers={"Authorization": "Basic " + token})
    print(json.dumps(json.load(urllib.request.urlopen(request, timeout=30)).get("dataset")))
"""


def on_host(command: str, text: str = "") -> str:
    done = subprocess.run([*SSH, command], input=text or None, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def sql(*statements: str) -> list[list[list[object]]]:
    words = " ".join("'" + statement.replace("'", "'\\''") + "'" for statement in statements)
    return [json.loads(line) for line in on_host(f"sudo python3 - {words}", SQL).splitlines()]


def state() -> str:
    """The running process, and every file the role has written."""
    files = "/etc/questdb /etc/credstore/questdb-* /etc/systemd/system/questdb* /opt/questdb"
    return on_host(
        "systemctl show --property=MainPID,ActiveState questdb.service; "
        f"sudo sh -c 'find {files} -type f -exec sha256sum {{}} + | sort'"
    )


def refusal(result) -> str:
    """The lines with which the play failed."""
    assert result.rc != 0
    return str(result.out).partition("[ERROR]: Task failed")[2]


@pytest.fixture
def untouched():
    before = state()
    assert "ActiveState=active" in before
    yield
    assert state() == before


@pytest.fixture
def cached_jar(tmp_path):
    """The control machine's jar is as before, also after a test in which it was removed."""
    jar = CACHE / f"questdb-{RELEASE['version']}.jar"
    kept = shutil.copy(jar, tmp_path) if jar.exists() else None
    yield jar
    if kept:
        shutil.copy(kept, jar)


# More than a container's machine has, and less than the machine that it stands for.
MEMORY = 150 * 1024


@pytest.mark.usefixtures("untouched")
def test_what_it_could_not_run_with_is_refused_with_every_reason(refusals, cached_jar):
    damaged = CACHE / "questdb-9.3.99.jar"
    damaged.write_bytes(b"half a jar")
    version = RELEASE["version"]
    java = RELEASE | {"java": {"debian-11": "openjdk-11-jre-headless"}}
    cases: list[tuple[dict[str, Any], list[str]]] = [
        (
            {"questdb_commit_mode": "nosync", "questdb_release": java, "questdb_pg_password": "short"},
            [
                "questdb_commit_mode: nosync loses or corrupts committed rows at a power cut",
                "set sync",
                f"was tested with QuestDB {version}, only for debian-11",
                "questdb_pg_password: has 5 characters, 20 are the least",
            ],
        ),
        # A host without room, memory or port.
        (
            {"questdb_min_free_mib": 10**9, "questdb_heap_mib": MEMORY, "questdb_http_port": 9123},
            [
                "questdb_http_port: port 9123 is in use by python3 (pid ",
                "MiB free where /var/lib/questdb is, questdb_min_free_mib asks for 1000000000",
                f"questdb_heap_mib + questdb_native_mib: {MEMORY + 768} MiB asked for, the host has ",
            ],
        ),
        # Data of another major version.
        (
            {"questdb_release": RELEASE | {"version": "10.2.0"}},
            [f"was last opened by {version}, 10.2.0 has another major version"],
        ),
        ({"questdb_release": RELEASE | {"version": "9.3.99"}}, DAMAGED),
        # A jar with another checksum than declared.
        (
            {"questdb_release": RELEASE | {"sha256": "0" * 64}},
            [f"has {RELEASE['sha256']}, not {'0' * 64}; it was removed and nothing was installed"],
        ),
    ]
    on_host("sudo systemd-run --quiet --unit=test-port python3 -m http.server --bind 127.0.0.1 9123")
    try:
        said = refusals("questdb", HOST, [variables for variables, _ in cases], may_change=True)
    finally:
        on_host("sudo systemctl stop test-port.service")
    for (variables, words), line in zip(cases, said, strict=True):
        assert [word for word in words if word not in line] == [], variables
    assert not damaged.exists()
    assert not cached_jar.exists()


@pytest.mark.usefixtures("untouched")
def test_a_dry_run_refuses_and_removes_a_damaged_download_too(play):
    damaged = CACHE / "questdb-9.3.99.jar"
    damaged.write_bytes(b"half a jar")
    line = refusal(play("questdb", HOST, check=True, questdb_release=RELEASE | {"version": "9.3.99"}))
    assert [word for word in DAMAGED if word not in line] == []
    assert not damaged.exists()


@pytest.mark.usefixtures("untouched")
def test_a_suspended_table_fails_the_play_and_is_exported_until_it_is_resumed(play):
    sql(f"CREATE TABLE {TABLE} (ts TIMESTAMP, n LONG) TIMESTAMP(ts) PARTITION BY DAY WAL")
    # A transaction file that the server may not open makes it give up applying, as a full disk does.
    files = f"/var/lib/questdb/db/{TABLE}~*/_txn"
    metrics = "systemctl start questdb-table-metrics.service; cat /var/lib/prometheus/node-exporter/questdb.prom"
    try:
        on_host(f"sudo sh -c 'chown root:root {files}'")
        sql(f"INSERT INTO {TABLE} VALUES (1, 1)")
        assert suspended(True)
        assert f'questdb_table_suspended{{table="{TABLE}"}} 1' in on_host(f"sudo sh -c '{metrics}'")
        expected = f"suspended tables, writes to them are stored but not readable: {TABLE}"
        assert expected in refusal(play("questdb", HOST))
    finally:
        on_host(f"sudo sh -c 'chown questdb:questdb {files}'")
        sql(f"ALTER TABLE {TABLE} RESUME WAL")
        resumed = suspended(False)
        sql(f"DROP TABLE {TABLE}")
    assert resumed
    assert f'table="{TABLE}"' not in on_host(f"sudo sh -c '{metrics}'")


def suspended(wanted: bool) -> bool:
    """Wait until the table is, or is no longer, suspended."""
    for _ in range(50):
        if sql(f"SELECT suspended FROM wal_tables() WHERE name = '{TABLE}'") == [[[wanted]]]:
            return True
        time.sleep(0.2)
    return False
