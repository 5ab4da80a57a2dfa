#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Bring the schema of a QuestDB server up to numbered SQL files, each applied once and recorded with its checksum."""

from __future__ import annotations

DOCUMENTATION = r"""
module: questdb_migrations
short_description: Apply numbered SQL files to a QuestDB server, once each
description:
  - Runs on the database's host and talks to the server's loopback HTTP port.
  - Records number, name, SHA-256 and time of every applied file in the table C(schema_migrations).
  - Refuses an applied file that has changed or is gone, a gap, a repeated number, a number below the newest applied.
  - Refuses a statement that cannot run twice (CREATE, DROP or ADD COLUMN without IF [NOT] EXISTS), so that an
    interrupted run can be started again.
  - Waits until the write-ahead log is applied, then runs each query on a C(-- verify:) line, which must return true.
  - Fails when a table is suspended, also when there is nothing to apply.
options:
  port:
    description: HTTP port of the server on the loopback address.
    type: int
    required: true
  user:
    description: User name for basic authentication.
    type: str
    required: true
  password_file:
    description: File on the host that holds the password.
    type: path
    required: true
  migrations:
    description: The SQL files, file name to content. Names are four digits, an underscore, words, C(.sql).
    type: dict
    required: true
  timeout:
    description: Seconds to wait for an answer, and for the write-ahead log to be applied.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Bring the schema up to date
  questdb_migrations:
    port: 9000
    user: admin
    password_file: /etc/credstore/questdb-http-password
    migrations:
      0001_bars.sql: "{{ lookup('ansible.builtin.file', 'migrations/0001_bars.sql', rstrip=false) }}"
"""

RETURN = r"""
applied:
  description: Names of the files that were applied, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

import base64
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

TABLE = "schema_migrations"
CREATE_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (applied_at TIMESTAMP, number INT, name VARCHAR, sha256 VARCHAR) "
    "TIMESTAMP(applied_at) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(applied_at, number)"
)
TABLE_EXISTS = f"SELECT table_name FROM tables() WHERE table_name = '{TABLE}'"  # noqa: S608  (a constant)
READ_APPLIED = f"SELECT number, name, sha256 FROM {TABLE} ORDER BY number"  # noqa: S608  (a constant)
NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
VERIFY = re.compile(r"^-- verify: (.+)$", re.MULTILINE)
# Quoted text, a comment, or the end of a statement: whichever comes first.
TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|;", re.DOTALL)
UNREPEATABLE = re.compile(
    r"\b(CREATE\s+TABLE|ADD\s+COLUMN)\s+(?!IF\s+NOT\s+EXISTS\b)|\bDROP\s+TABLE\s+(?!IF\s+EXISTS\b)", re.IGNORECASE
)
POLL_SECONDS = 0.2

Row = dict[str, Any]
Query = Callable[[str], list[Row]]


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message is one line."""


@dataclass(frozen=True)
class Migration:
    """One SQL file."""

    number: int
    name: str
    sha256: str
    statements: tuple[str, ...]
    verifications: tuple[str, ...]


@dataclass(frozen=True)
class Applied:
    """What the database remembers of a file it has seen."""

    number: int
    name: str
    sha256: str


@dataclass(frozen=True)
class Table:
    """State of one table's write-ahead log."""

    name: str
    suspended: bool
    written: int
    sequenced: int
    error: str = ""


def split_statements(sql: str) -> tuple[str, ...]:
    """Split SQL at its semicolons, without comments; semicolons in quotes and comments do not count.

    >>> split_statements("SELECT ';'; -- one; two")
    ("SELECT ';'",)
    """
    statements, current, end = [], "", 0
    for token in TOKEN.finditer(sql):
        current += sql[end : token.start()]
        end = token.end()
        text = token.group()
        if text == ";":
            statements.append(current)
            current = ""
        elif text.startswith(("--", "/*")):
            current += " "
        else:
            current += text
    statements.append(current + sql[end:])
    return tuple(text for text in map(str.strip, statements) if text)


def parse(name: str, sql: str) -> Migration:
    """Read one file; raises MigrationError for what cannot be applied safely."""
    matched = NAME.fullmatch(name)
    if not matched:
        raise MigrationError(f"{name}: a migration is named 0001_words.sql")
    statements = split_statements(sql)
    if not statements:
        raise MigrationError(f"{name}: holds no statement")
    for statement in statements:
        found = UNREPEATABLE.search(statement)
        if found:
            words = " ".join(found.group().split())
            raise MigrationError(f"{name}: {words} must say IF [NOT] EXISTS, or an interrupted run cannot be repeated")
    sha256 = hashlib.sha256(sql.encode()).hexdigest()
    return Migration(int(matched.group(1)), name, sha256, statements, tuple(VERIFY.findall(sql)))


def refuse_repeated_numbers(migrations: Sequence[Migration]) -> None:
    """Refuse two files with one number: their order would depend on their names."""
    for first, second in pairwise(migrations):
        if first.number == second.number:
            raise MigrationError(f"{second.name}: has the number of {first.name}; renumber the newer one")


def refuse_gaps(migrations: Sequence[Migration]) -> None:
    """Refuse files that are not numbered 1, 2, 3 and so on: one of them is not here."""
    for expected, migration in enumerate(migrations, start=1):
        if migration.number != expected:
            raise MigrationError(f"{migration.name}: {expected:04} is missing before it; number without gaps")


def plan(files: Mapping[str, str], applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """Decide which files are still to be applied, in order; pure.

    Args:
        files: file name to SQL.
        applied: what the database has recorded.
    """
    migrations = sorted((parse(name, sql) for name, sql in files.items()), key=lambda m: (m.number, m.name))
    refuse_repeated_numbers(migrations)
    recorded = {row.number: row for row in applied}
    by_number = {migration.number: migration for migration in migrations}
    for number, row in sorted(recorded.items()):
        migration = by_number.get(number)
        if migration is None:
            raise MigrationError(f"{row.name}: applied to this database but not among the files; restore it")
        if migration.sha256 != row.sha256:
            raise MigrationError(
                f"{migration.name}: changed after it was applied (sha256 {migration.sha256[:12]}, "
                f"applied {row.sha256[:12]}); restore it and write a new migration"
            )
    newest = max(recorded, default=0)
    for migration in migrations:
        if migration.number < newest and migration.number not in recorded:
            raise MigrationError(f"{migration.name}: below {newest:04}, the newest applied; renumber it to come after")
    refuse_gaps(migrations)
    return tuple(migration for migration in migrations if migration.number > newest)


def read_tables(query: Query) -> dict[str, Table]:
    """Return the state of every table with a write-ahead log."""
    rows = query("SELECT name, suspended, writerTxn, sequencerTxn, errorTag, errorMessage FROM wal_tables()")
    return {
        row["name"]: Table(
            row["name"],
            row["suspended"],
            row["writerTxn"],
            row["sequencerTxn"],
            " ".join(text for text in (row["errorTag"], row["errorMessage"]) if text),
        )
        for row in rows
    }


def refuse_suspended(tables: Mapping[str, Table]) -> None:
    """Fail when a table takes writes that nobody can read."""
    suspended = [table for table in tables.values() if table.suspended]
    if suspended:
        words = ", ".join(f"{table.name} ({table.error})" if table.error else table.name for table in suspended)
        raise MigrationError(
            f"suspended tables, writes to them are stored but not readable: {words}; "
            "find the cause, then ALTER TABLE <name> RESUME WAL"
        )


def read_applied(query: Query) -> list[Applied]:
    """Return what the database has recorded; nothing when it has no record yet."""
    if not query(TABLE_EXISTS):
        return []
    rows = query(READ_APPLIED)
    return [Applied(row["number"], row["name"], row["sha256"]) for row in rows]


def settle(query: Query, timeout: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until all that is in the write-ahead logs by now is in the tables."""
    targets = {table.name: table.sequenced for table in read_tables(query).values()}
    for _ in range(max(1, int(timeout / POLL_SECONDS))):
        tables = read_tables(query)
        refuse_suspended(tables)
        behind = [name for name, target in targets.items() if name in tables and tables[name].written < target]
        if not behind:
            return
        sleep(POLL_SECONDS)
    raise MigrationError(f"the write-ahead log of {', '.join(sorted(behind))} was not applied within {timeout:.0f} s")


def apply(query: Query, migration: Migration, timeout: float, now: Callable[[], float] = time.time) -> None:
    """Apply one file, verify it, record it. Whatever of this an interruption leaves out, the next run does again."""
    for statement in migration.statements:
        try:
            query(statement)
        except MigrationError as error:
            raise MigrationError(f"{migration.name}: {error}") from error
    settle(query, timeout)
    for verification in migration.verifications:
        rows = query(verification)
        if [list(row.values()) for row in rows] != [[True]]:
            raise MigrationError(f"{migration.name}: applied, but not true: {verification}")
    query(CREATE_TABLE)
    # Name and checksum cannot hold a quote: NAME and hexdigest see to it.
    values = f"{int(now() * 1_000_000)}, {migration.number}, '{migration.name}', '{migration.sha256}'"
    query(f"INSERT INTO {TABLE} (applied_at, number, name, sha256) VALUES ({values})")  # noqa: S608
    settle(query, timeout)


class Server:
    """A QuestDB server's SQL endpoint on the loopback address."""

    def __init__(self, port: int, user: str, password: str, timeout: float) -> None:
        self._address = f"127.0.0.1:{port}"
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}
        self._timeout = timeout
        # A proxy in the environment is not for the loopback address.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def query(self, sql: str) -> list[Row]:
        """Run one statement; returns its rows, none for a statement that has none."""
        url = f"http://{self._address}/exec?{urllib.parse.urlencode({'query': sql})}"
        request = urllib.request.Request(url, headers=self._headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            raise MigrationError(self._explain(error)) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise MigrationError(f"QuestDB at {self._address} does not answer: {error}") from error
        names = [column["name"] for column in body.get("columns", [])]
        return [dict(zip(names, row, strict=True)) for row in body.get("dataset", [])]

    def _explain(self, error: urllib.error.HTTPError) -> str:
        if error.code == 401:
            return f"QuestDB at {self._address} refuses the user name or the password"
        text = error.read().decode(errors="replace")
        try:
            reason = json.loads(text)["error"]
        except (ValueError, KeyError, TypeError):
            reason = text[:200]
        return f"QuestDB at {self._address} answers {error.code}: {' '.join(str(reason).split())}"


def migrate(query: Query, files: Mapping[str, str], timeout: float, check: bool) -> dict[str, Any]:
    """Look, decide, and unless in check mode apply; returns the module's result."""
    refuse_suspended(read_tables(query))
    pending = plan(files, read_applied(query))
    if not check:
        for migration in pending:
            apply(query, migration, timeout)
    names = [migration.name for migration in pending]
    result: dict[str, Any] = {"changed": bool(pending), "applied": names}
    if pending:
        result["diff"] = {"before": "", "after": "".join(f"{name}\n" for name in names), "after_header": TABLE}
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "port": {"type": "int", "required": True},
            "user": {"type": "str", "required": True},
            "password_file": {"type": "path", "required": True, "no_log": False},
            "migrations": {"type": "dict", "required": True},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        password = Path(options["password_file"]).read_text(encoding="utf-8").strip()
        server = Server(options["port"], options["user"], password, options["timeout"])
        result = migrate(server.query, options["migrations"], options["timeout"], module.check_mode)
    except OSError as error:
        module.fail_json(msg=f"password_file: {error}")
    except MigrationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
