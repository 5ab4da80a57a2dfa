"""Real bars through the lab's services: into QuestDB and back, then onto a Redis Stream and back, each compared."""

from __future__ import annotations

import base64
import json
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, cast

import redis
from questdb.ingress import IngressError, Protocol, Sender, TimestampMicros, TimestampNanos
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from fleet.errors import UserError
from fleet.inventory.model import Fleet
from fleet.lab import tunnel
from fleet.lab.bars import SOURCE, Bar, digest, real_bars
from fleet.paths import LAB_INVENTORY, PROJECT

TABLE = "ohlcv"
# Not a stream that a feed writes: there the ids of old bars would be refused behind those of today.
STREAM = "md:bars:sample"
PUBLISHER = "agents"
BATCH = 2000
APPLIED_WITHIN = 30.0  # seconds
SYMBOLS = ("sym", "timeframe", "exchange", "data_source")
NUMBERS = ("o", "h", "l", "c", "v")
COLUMNS = ", ".join(f"cast({f.name} AS LONG) {f.name}" if f.type == "int" else f.name for f in fields(Bar))
STATE = f"SELECT suspended, writerTxn, sequencerTxn FROM wal_tables() WHERE name = '{TABLE}'"  # noqa: S608 - constants
SELECTION = f"FROM {TABLE} WHERE data_source = '{SOURCE}'"


@dataclass(frozen=True)
class Loaded:
    """What went into one service and was read back equal.

    Attributes:
        where: table or stream.
        bars: number of bars, all of them found there.
        added: how many were not there before.
        seconds: from the first write until all could be read.
    """

    where: str
    bars: int
    added: int
    seconds: float

    def text(self) -> str:
        """Return the line for the terminal."""
        speed = f"{self.seconds:.1f} s, {self.bars / self.seconds:,.0f} rows/s"
        return f"{self.where:<16}  {self.bars:,} bars, {self.added:,} new, equal to the source, {speed}"


@dataclass(frozen=True)
class Summary:
    """What `load` did; `checksum` covers every value and is the same for source, table and stream."""

    table: Loaded
    stream: Loaded
    checksum: str


def load(say: Callable[[str], None]) -> Summary:
    """Bring the real bars into the lab's QuestDB and onto its event bus; what is there already stays as it is.

    Args:
        say: called with a line on each service.

    Raises:
        UserError: a service refuses, or what is read back differs from the source.
    """
    fleet, bars = Fleet.load(LAB_INVENTORY, PROJECT), real_bars()
    try:
        with open_history(fleet) as history:
            table = store(history, bars)
            say(table.text())
        with open_bus(fleet) as bus:
            stream = publish(bus, bars)
            say(stream.text())
    except (IngressError, redis.RedisError, OSError) as error:
        raise UserError(f"sample data: {' '.join(str(error).split())}") from error
    return Summary(table, stream, digest(bars))


class History:
    """QuestDB over HTTP: rows in through the official client, rows out through SQL."""

    def __init__(self, port: int, user: str, password: str) -> None:
        # The client insists on Python's own strings, and Ansible's carry their origin.
        self._port, self._user, self._password = port, str(user), str(password)

    def append(self, bars: Sequence[Bar]) -> None:
        """Write bars, one transaction a batch; what is sent twice replaces itself (DEDUP keys of the table)."""
        with Sender(
            Protocol.Http,
            "127.0.0.1",
            self._port,
            username=self._user,
            password=self._password,
            auto_flush=False,
        ) as sender:
            for batch in _batches(bars):
                with sender.transaction(TABLE) as transaction:
                    for bar in batch:
                        transaction.row(**_row(bar))

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a statement."""
        url = f"http://127.0.0.1:{self._port}/exec?{urllib.parse.urlencode({'query': sql})}"
        token = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - always our own http address
            content = json.load(answer)
        names = [column["name"] for column in content["columns"]]
        return [dict(zip(names, row, strict=True)) for row in content["dataset"]]

    def wait_applied(self) -> None:
        """Return once every committed transaction can be read.

        Raises:
            UserError: the table is suspended, or the server does not keep up.
        """
        deadline = time.monotonic() + APPLIED_WITHIN
        while time.monotonic() < deadline:
            state = self.query(STATE)[0]
            if state["suspended"]:
                raise UserError(f"{TABLE} is suspended, new rows stay in its WAL: see the journal of questdb.service")
            if state["writerTxn"] == state["sequencerTxn"]:
                return
            time.sleep(0.05)
        raise UserError(f"{TABLE}: rows cannot be read after {APPLIED_WITHIN:.0f} s: {state}")

    def count(self) -> int:
        """Return how many sample bars the table holds."""
        return int(self.query(f"SELECT count() AS n {SELECTION}")[0]["n"])

    def bars(self) -> list[Bar]:
        """Return the sample bars as the table holds them."""
        return [Bar.of(row) for row in self.query(f"SELECT {COLUMNS} {SELECTION}")]


@contextmanager
def open_history(fleet: Fleet) -> Iterator[History]:
    """Yield the lab's QuestDB, which listens on its host's loopback only."""
    host = fleet.members["questdb"][0]
    settings = fleet.settings(host)
    with tunnel.forwarded_port(host, settings["questdb_http_port"]) as port:
        yield History(port, settings["questdb_http_user"], settings["questdb_http_password"])


def store(history: History, bars: Sequence[Bar]) -> Loaded:
    """Write bars into the table, wait until they are applied, read them back and compare.

    Raises:
        UserError: the table differs from the source.
    """
    before, began = history.count(), time.monotonic()
    history.append(bars)
    history.wait_applied()
    seconds = time.monotonic() - began
    require_equal(TABLE, bars, history.bars())
    return Loaded(TABLE, len(bars), history.count() - before, seconds)


class _Channel(AbstractConnection):
    """A connection of the Redis client over a socket that is open already."""

    def __init__(self, channel: socket.socket, **options: Any) -> None:
        super().__init__(**options)
        self._channel = channel

    def _connect(self) -> socket.socket:
        return self._channel

    def _host_error(self) -> str:
        return "the event bus"

    def repr_pieces(self) -> list[tuple[str, Any]]:
        """Name the connection in a message."""
        return [("db", self.db)]


@contextmanager
def open_bus(fleet: Fleet) -> Iterator[redis.Redis]:
    """Yield a client of the lab's event bus, logged in as the publisher."""
    host = fleet.members["redis"][0]
    settings = fleet.settings(host)
    with tunnel.unix_socket(host, settings["redis_socket"], settings["redis_group"]) as channel:
        pool = redis.ConnectionPool(
            connection_class=_Channel,
            max_connections=1,
            channel=channel,
            username=PUBLISHER,
            password=settings["redis_passwords"][PUBLISHER],
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )
        with redis.Redis(connection_pool=pool) as client:
            yield client


def publish(bus: redis.Redis, bars: Sequence[Bar]) -> Loaded:
    """Put bars on the stream, read them back and compare; a bar's id is its own, so it is there once at most.

    Args:
        bus: client of the event bus.
        bars: in the order of their ids.

    Raises:
        UserError: the stream differs from the source.
    """
    added, began = 0, time.monotonic()
    for batch in _batches(bars):
        pipeline = bus.pipeline(transaction=False)
        for bar in batch:
            pipeline.xadd(STREAM, cast(dict[Any, Any], bar.to_fields()), id=entry_id(bar))
        for answer in pipeline.execute(raise_on_error=False):
            if isinstance(answer, redis.ResponseError) and "equal or smaller" in str(answer):
                continue  # there already, or else the comparison misses it
            if isinstance(answer, Exception):
                raise answer
            added += 1
    seconds = time.monotonic() - began
    require_equal(STREAM, bars, streamed(bus))
    return Loaded(STREAM, len(bars), added, seconds)


def streamed(bus: redis.Redis) -> list[Bar]:
    """Return the bars of the stream in its order."""
    return [Bar.of(entry) for _, entry in cast(list[tuple[str, dict[str, str]]], bus.xrange(STREAM))]


def entry_id(bar: Bar) -> str:
    """Return the id of a bar's stream entry as Redis writes it."""
    return "{}-{}".format(*bar.stream_id)


def require_equal(where: str, source: Sequence[Bar], found: Sequence[Bar]) -> None:
    """Compare what was read back with the source, whatever the order.

    Raises:
        UserError: they differ; it names the first bar that is missing, or else that should not be there.
    """
    if digest(source) == digest(found):
        return
    missing, surplus = sorted(set(source) - set(found)), sorted(set(found) - set(source))
    first = f"missing {missing[0]}" if missing else f"not in the source or twice {(surplus or found)[0]}"
    raise UserError(
        f"{where}: {len(found):,} bars with checksum {digest(found)[:12]}, the source has {len(source):,} "
        f"with {digest(source)[:12]}; {first}"
    )


def _batches(bars: Sequence[Bar]) -> Iterator[Sequence[Bar]]:
    return (bars[start : start + BATCH] for start in range(0, len(bars), BATCH))


def _row(bar: Bar) -> dict[str, Any]:
    values = vars(bar)
    columns: dict[str, Any] = {name: values[name] for name in NUMBERS}
    columns["available_at"] = TimestampMicros(bar.available_at)
    return {
        "symbols": {name: values[name] for name in SYMBOLS},
        "columns": columns,
        "at": TimestampNanos(bar.ts * 1000),
    }
