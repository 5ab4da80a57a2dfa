# SPDX-License-Identifier: Apache-2.0
"""Publish to consume across two processes: our producer and group reader, and bare redis-py doing the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

import redis
from station import codec
from station.bus.producer import Producer
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.clock import SystemClock
from station.retry import Patience

from tests.performance.bus import events
from tests.performance.bus.children import Child
from tests.performance.bus.events import Say
from tools import report

Item = TypeVar("Item")
RATE = 250  # events a second
GROUP, READER = "bench", "reader"
BATCH, WAIT_MS = 100, 500
P50_GOAL, P99_GOAL = report.Goal(ratio=1.3), report.Goal(below=5000)
_START_S, _SILENCE_S = 30.0, 10.0
_WARM_UP = RATE  # the first second does not count
_TERMS = Patience(SystemClock(), lambda: True)  # an unavailable bus ends the bench


@dataclass(frozen=True)
class Round:
    """Times of one round in microseconds."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Way:
    """How to write and how to read; both are functions for a `Child`."""

    name: str
    write: Callable[..., list[int]]
    read: Callable[..., list[int]]


def write_ours(bench: Connection, server: Server, stream: str, number: int, folder: Path) -> list[int]:
    """Publish events at `RATE` as a service does, and return the monotonic nanoseconds before each."""
    bus = RedisBus(server)
    producer = Producer(bus, stream, "bench", _TERMS, folder / f"{stream}.state")
    producer.start()
    bench.send("ready")
    stamps = _paced([events.bar(one, time.time_ns() // 1000) for one in range(1, number + 1)], producer.publish)
    producer.close()
    bus.close()
    return stamps


def read_ours(bench: Connection, server: Server, stream: str, number: int) -> list[int]:
    """Read events as a service does, and return the monotonic nanoseconds at which each was at hand."""
    bus = RedisBus(server)
    stamps: list[int] = []
    bus.consume([stream], GROUP, READER, BATCH)
    bench.send("ready")
    while len(stamps) <= number:  # the producer's own word of its start comes first
        entries = bus.consume([stream], GROUP, READER, BATCH, WAIT_MS)
        for entry in entries:
            codec.decode(entry.data)
            stamps.append(time.monotonic_ns())
        bus.acknowledge(GROUP, entries)
    bus.close()
    return stamps[1:]


def write_bare(bench: Connection, server: Server, stream: str, number: int, _: Path) -> list[int]:
    """Add the same bytes with redis-py alone."""
    client = _client(server)
    sent = [(event.entry_id, codec.encode(event)) for event in (events.bar(one, 1) for one in range(1, number + 1))]
    client.ping()
    bench.send("ready")
    stamps = _paced(sent, lambda one: client.xadd(stream, {"e": one[0][1]}, id=one[0][0]))
    client.close()
    return stamps


def read_bare(bench: Connection, server: Server, stream: str, number: int) -> list[int]:
    """Read with redis-py alone."""
    client = _client(server)
    client.xgroup_create(stream, GROUP, "0", mkstream=True)
    stamps: list[int] = []
    bench.send("ready")
    while len(stamps) < number:
        found: Any = client.xreadgroup(GROUP, READER, {stream: ">"}, BATCH, WAIT_MS)
        for _, entries in found:
            stamps += [time.monotonic_ns()] * len(entries)
            client.xack(stream, GROUP, *(entry_id for entry_id, _ in entries))
    client.close()
    return stamps


WAYS = (Way("ours", write_ours, read_ours), Way("bare", write_bare, read_bare))


def measure(server: Server, folder: Path, rounds: int, seconds: float, say: Say) -> list[report.Row]:
    """Let both take turns, now one first, now the other, and return the rows.

    Args:
        server: of the bus, for a user that may write `md:*` and read it through groups.
        folder: for the state of producers.
        rounds: of each.
        seconds: that a round lasts.
        say: tells how far it is.
    """
    found: dict[str, list[Round]] = {way.name: [] for way in WAYS}
    for turn in range(1, rounds + 1):
        for way in WAYS if turn % 2 else WAYS[::-1]:
            one = _round(way, server, f"md:{way.name}{turn}", int(RATE * seconds), folder)
            found[way.name].append(one)
            say(f"publish to consume, round {turn} of {rounds}, {way.name}: p50 {one.p50:.0f} µs, p99 {one.p99:.0f} µs")
    return rows(found["ours"], found["bare"])


def rows(ours: Sequence[Round], bare: Sequence[Round]) -> list[report.Row]:
    """Return medians of the rounds, ours against the bare client's."""
    name = f"publish to consume at {RATE} events/s"
    p50, p99 = median(one.p50 for one in ours), median(one.p99 for one in ours)
    return [
        report.row(f"{name}, p50", p50, "µs", median(one.p50 for one in bare), P50_GOAL),
        report.row(f"{name}, p99", p99, "µs", median(one.p99 for one in bare), P99_GOAL),
        report.row(f"{name}, p99 of the worst round", max(one.p99 for one in ours), "µs", max(one.p99 for one in bare)),
    ]


def summary(sent: Sequence[int], taken: Sequence[int]) -> Round:
    """Return the percentiles of the times between two lists of nanoseconds, without those of the first second."""
    times = [(end - start) / 1000 for start, end in zip(sent, taken, strict=True)][_WARM_UP:]
    parts = quantiles(times, n=100, method="inclusive")
    return Round(parts[49], parts[98])


def _round(way: Way, server: Server, stream: str, number: int, folder: Path) -> Round:
    with Child(way.read, server, stream, number) as reader:
        reader.hear(_START_S)
        with Child(way.write, server, stream, number, folder) as writer:
            writer.hear(_START_S)
            sent = writer.hear(number / RATE + _START_S)
            return summary(sent, reader.hear(_SILENCE_S))


def _client(server: Server) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket), username=server.username, password=server.password)


def _paced(items: Sequence[Item], do: Callable[[list[Item]], object]) -> list[int]:
    """Do something with each item, evenly spread over time, and return the nanoseconds before each."""
    stamps, began = [], time.monotonic()
    for number, item in enumerate(items):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        stamps.append(time.monotonic_ns())
        do([item])
    return stamps
