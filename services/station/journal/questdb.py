# SPDX-License-Identifier: Apache-2.0
"""The copy of the journal in QuestDB: rows in through the official client, one table a transaction; SQL over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from questdb.ingress import IngressError, Sender, TimestampMicros

from station.errors import Unavailable
from station.journal.record import UNREADABLE
from station.journal.rows import BarRow, JournalRow
from station.journal.store import Extent

# The same statements as in the role's migrations (roles/questdb), which are there first; a unit test compares them.
TABLES = {
    "journal": """CREATE TABLE IF NOT EXISTS {name} (
  ts TIMESTAMP, seq LONG, recorded TIMESTAMP,
  stream SYMBOL CAPACITY 256, agent_id SYMBOL CAPACITY 256, type SYMBOL CAPACITY 64,
  hash VARCHAR, record VARCHAR
) TIMESTAMP(ts) PARTITION BY DAY WAL DEDUP UPSERT KEYS(ts, seq)""",
    "bars": """CREATE TABLE IF NOT EXISTS {name} (
  ts TIMESTAMP, symbol SYMBOL CAPACITY 4096, source SYMBOL CAPACITY 64, "interval" LONG,
  open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume DOUBLE, seq LONG
) TIMESTAMP(ts) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(ts, symbol, source, "interval")""",
}
_JOURNAL = "cast(ts AS LONG), seq, cast(recorded AS LONG), stream, agent_id, type, hash, record"
_BARS = 'cast(ts AS LONG), symbol, source, "interval", open, high, low, close, volume, seq'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES_A_QUERY = 200


@dataclass(frozen=True, slots=True)
class Server:
    """Where QuestDB's HTTP port is and who we are to it.

    Attributes:
        timeout: seconds for an answer.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class TableState:
    """How far a table has applied what was sent to it."""

    name: str
    suspended: bool
    waiting: int  # transactions


class _Answer(msgspec.Struct):
    dataset: list[list[Any]] = []
    error: str = ""


_DECODER = msgspec.json.Decoder(_Answer)


class QuestDB:
    """Tables `journal` and `bars`. For one thread."""

    def __init__(self, server: Server, prefix: str = "") -> None:
        """Set it up without any I/O.

        Args:
            server: where the database is.
            prefix: stands before the names of the tables, for a second journal in the same database.
        """
        self._server = server
        self._journal, self._bars = f"{prefix}journal", f"{prefix}bars"
        self._http = httpx.Client(
            base_url=f"http://{server.host}:{server.port}",
            auth=(server.user, server.password),
            timeout=server.timeout,
        )
        self._sender: Sender | None = None

    def prepare(self) -> None:
        """Make the tables that are not there: those of a second journal, or all where no Ansible was."""
        self.query(TABLES["journal"].format(name=self._journal))
        self.query(TABLES["bars"].format(name=self._bars))

    def watermark(self) -> int:
        """Return the greatest sequence up to which every record is stored and can be read."""
        self.check()
        waiting = [state for state in self.states() if state.waiting]
        if waiting:
            raise Unavailable(f"QuestDB still applies {waiting[0].waiting} transactions to {waiting[0].name}")
        rows, last = self._one(_select("count(), coalesce(max(seq), 0)", self._journal))
        return last if rows == last else self._complete_up_to(last)

    def check(self) -> None:
        """Resume tables that QuestDB has suspended, which it does for a full disk, and say so."""
        suspended = [state.name for state in self.states() if state.suspended]
        for name in suspended:
            self.query(f"ALTER TABLE {name} RESUME WAL")
        if suspended:
            raise Unavailable(f"QuestDB had suspended {', '.join(suspended)}; told it to go on")

    def write(self, journal: Sequence[JournalRow], bars: Sequence[BarRow]) -> None:
        """Store rows, those of `journal` last, because their greatest sequence says what is stored."""
        try:
            sender = self._sender or self._connect()
            if bars:
                with sender.transaction(self._bars) as transaction:
                    for bar in bars:
                        transaction.row(**_bar_fields(bar))
            if journal:
                with sender.transaction(self._journal) as transaction:
                    for row in journal:
                        transaction.row(**_journal_fields(row))
        except IngressError as error:
            self._disconnect()
            raise Unavailable(f"QuestDB at {self._server.host}:{self._server.port} does not store: {error}") from error

    def states(self) -> list[TableState]:
        """Return how far the tables are.

        Raises:
            Unavailable: the database does not answer, or a table is not there.
        """
        rows = self.query("SELECT name, suspended, sequencerTxn - writerTxn FROM wal_tables()")
        names = (self._journal, self._bars)
        found = {row[0]: TableState(row[0], row[1], row[2]) for row in rows if row[0] in names}
        missing = [name for name in names if name not in found]
        if missing:
            raise Unavailable(f"QuestDB has no table {missing[0]}; the recorder makes it when it connects")
        return list(found.values())

    def extent(self) -> Extent:
        """Return how much is stored."""
        suspended = [state.name for state in self.states() if state.suspended]
        if suspended:
            raise Unavailable(f"QuestDB has suspended {suspended[0]}, rows wait in its WAL; see to its disk")
        rows, last = self._one(_select("count(), coalesce(max(seq), 0)", self._journal))
        last_bar = self._one(_select("coalesce(max(seq), 0)", self._bars))[0]
        tables = (self._journal, self._bars)
        strays = [self._one(_select("count()", name, "seq IS NULL OR seq < 1"))[0] for name in tables]
        return Extent(rows, last, last_bar, sum(strays))

    def journal(self, first: int, last: int) -> list[JournalRow]:
        """Return the rows of `journal` of some sequences, in their order."""
        rows = self.query(_select(_JOURNAL, self._journal, f"seq BETWEEN {first} AND {last} ORDER BY seq"))
        return [JournalRow(*row) for row in rows]

    def bars(self, first: int, last: int) -> list[BarRow]:
        """Return the rows of `bars` of some sequences."""
        rows = self.query(_select(_BARS, self._bars, f"seq BETWEEN {first} AND {last} ORDER BY seq"))
        return [BarRow(*row) for row in rows]

    def bars_at(self, times: Sequence[int]) -> list[BarRow]:
        """Return the rows of `bars` of some closes."""
        found = []
        for start in range(0, len(times), _TIMES_A_QUERY):
            chosen = ", ".join(f"'{_spelled(time)}'" for time in times[start : start + _TIMES_A_QUERY])
            found += self.query(_select(_BARS, self._bars, f"ts IN ({chosen})"))
        return [BarRow(*row) for row in found]

    def query(self, sql: str) -> list[list[Any]]:
        """Return the rows of a statement.

        Raises:
            Unavailable: the database does not answer, not now, or not us: the journal goes on without it.
        """
        where = f"QuestDB at {self._server.host}:{self._server.port}"
        try:
            answer = self._http.get("/exec", params={"query": sql})
            if answer.status_code in {401, 403}:
                raise Unavailable(f"{where} refuses user {self._server.user}; give the journal that user's password")
            content = _DECODER.decode(answer.content)
        except (httpx.HTTPError, *UNREADABLE) as error:
            raise Unavailable(f"{where} does not answer: {error or type(error).__name__}") from error
        if content.error or not answer.is_success:
            raise Unavailable(f"{where}: {content.error or answer.status_code}: {sql}")
        return content.dataset

    def close(self) -> None:
        """End the connections."""
        self._disconnect()
        self._http.close()

    def _one(self, sql: str) -> list[Any]:
        return self.query(sql)[0]

    def _complete_up_to(self, last: int) -> int:
        """Return the greatest sequence with no gap before it, by halving."""
        low, high = 0, last
        while low < high:
            middle = (low + high + 1) // 2
            if self._one(_select("count()", self._journal, f"seq BETWEEN 1 AND {middle}"))[0] >= middle:
                low = middle
            else:
                high = middle - 1
        return low

    def _connect(self) -> Sender:
        server = self._server
        # By itself it retries for ten seconds, in which nobody could stop us; the follower has a back-off of its own.
        # A connection that the server closed because nothing was sent for a while is worth one.
        sender = Sender.from_conf(
            f"http::addr={server.host}:{server.port};",
            username=server.user,
            password=server.password,
            auto_flush=False,
            retry_timeout=1000,
            request_timeout=int(server.timeout * 1000),
        )
        sender.establish()
        self._sender = sender
        return sender

    def _disconnect(self) -> None:
        if self._sender is not None:
            with suppress(IngressError):
                self._sender.close(flush=False)
            self._sender = None


def _select(what: str, table: str, where: str = "true") -> str:
    return f"SELECT {what} FROM {table} WHERE {where}"  # noqa: S608 - names of ours and whole numbers


def _journal_fields(row: JournalRow) -> dict[str, Any]:
    return {
        "symbols": {"stream": row.stream, "agent_id": row.agent_id, "type": row.type},
        "columns": {
            "seq": row.seq,
            "recorded": TimestampMicros(row.recorded),
            "hash": row.hash,
            "record": row.record,
        },
        "at": TimestampMicros(row.ts),
    }


def _bar_fields(bar: BarRow) -> dict[str, Any]:
    return {
        "symbols": {"symbol": bar.symbol, "source": bar.source},
        "columns": {
            "interval": bar.interval,
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "volume": bar.volume,
            "seq": bar.seq,
        },
        "at": TimestampMicros(bar.ts),
    }


def _spelled(time: int) -> str:
    return (_EPOCH + timedelta(microseconds=time)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
