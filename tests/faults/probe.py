# SPDX-License-Identifier: Apache-2.0
"""A producer that notes what the bus confirmed: what it was promised is what must be found afterwards.

    python -m tests.faults.probe SOCKET STATE_FILE NOTES

Each event has a number, which no other attempt has. `T <number> <entry> <monotonic us>` is noted before it is
published, `A <number> <monotonic us>` once that was confirmed; what has no A is in doubt.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from station.bus.producer import Producer
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.clock import SystemClock
from station.domain.operation import Health
from station.errors import Unavailable
from station.events import HealthEvent
from station.retry import Patience

STREAM, NAME = "strat:probe", "probe"
EVERY_S = 0.01


@dataclass(frozen=True)
class Tried:
    """An event that was handed to the bus.

    Attributes:
        entry: its id in the stream.
        at_us: when it was tried, monotonic microseconds.
        confirmed_us: when the bus confirmed it, None if that is in doubt.
    """

    entry: str
    at_us: int
    confirmed_us: int | None = None


@dataclass
class Notes:
    """What the notes say, by number; can be brought up to date while the probe works."""

    tried: dict[int, Tried] = field(default_factory=dict)

    def add(self, lines: Iterable[str]) -> None:
        """Take in further lines."""
        for line in lines:
            kind, number, *rest = line.split()
            if kind == "T":
                self.tried[int(number)] = Tried(rest[0], int(rest[1]))
            else:
                known = self.tried[int(number)]
                self.tried[int(number)] = Tried(known.entry, known.at_us, int(rest[0]))

    @property
    def confirmed(self) -> dict[int, Tried]:
        """Return what was acknowledged."""
        return {number: event for number, event in self.tried.items() if event.confirmed_us is not None}


def read(path: Path) -> Notes:
    """Return what the notes of a probe say."""
    notes = Notes()
    if path.exists():
        # A line that is being written has no end yet.
        notes.add(path.read_text().rpartition("\n")[0].splitlines())
    return notes


def publish(producer: Producer, notes: Path, stop: threading.Event) -> None:
    """Publish until told to stop."""
    number = max(read(notes).tried, default=0)
    clock = SystemClock()
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    while not stop.wait(EVERY_S):
        number += 1
        now, payload = clock.now(), Health(state="progress", progress=number)
        event = HealthEvent(agent_id="", run=0, sequence=0, timestamp=now, available=now, payload=payload)
        batch = producer.prepare([event])
        os.write(file, f"T {number} {batch.events[0].entry_id} {_now_us()}\n".encode())
        producer.send(batch)
        os.write(file, f"A {number} {_now_us()}\n".encode())


def main(words: list[str]) -> int:
    """Publish until SIGTERM."""
    socket, state, notes = map(Path, words)
    stop = threading.Event()
    # Not by a handler, which might interrupt the wait for this very event, and would wait for it in turn.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_set_at_sigterm, args=(stop,), daemon=True).start()
    bus = RedisBus(Server(socket, "agents", "agents"))
    producer = Producer(bus, STREAM, NAME, Patience(SystemClock(), stop.is_set), state)
    try:
        producer.start()
        publish(producer, notes, stop)
    except Unavailable as error:
        print(f"stopped: {error}", file=sys.stderr)
    finally:
        producer.close()
    return 0


def _set_at_sigterm(stop: threading.Event) -> None:
    signal.sigwait({signal.SIGTERM})
    stop.set()


def _now_us() -> int:
    return time.monotonic_ns() // 1000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
