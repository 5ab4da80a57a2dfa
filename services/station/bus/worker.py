# SPDX-License-Identifier: Apache-2.0
"""The loop of an agent: consume, handle, and publish what follows together with the acknowledgement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from station import codec
from station.bus import alarms
from station.bus.alarms import Alarm
from station.bus.port import Bus, Entry
from station.bus.producer import Batch, Producer
from station.errors import Conflict, Poison, StationError, Unavailable
from station.events import Event
from station.retry import Patience

Handler = Callable[[Event], Sequence[Event]]

TRIES = 3  # of one entry, over all consumers and restarts; then it is a dead letter
# Remembered, because a server that crashed may give again what it was told in its last two seconds.
_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a worker reads, and as whom.

    Attributes:
        streams: names of the streams.
        group: who shares the work.
        consumer: this one of them; the same after a restart.
        batch: the most entries of a stream that are taken at once.
        wait_ms: how long to wait for something new before the loop turns.
    """

    streams: tuple[str, ...]
    group: str
    consumer: str
    batch: int = 100
    wait_ms: int = 500


@dataclass(slots=True)
class Counts:
    """What a worker has done since it was started.

    Attributes:
        handled: entries that the handler has answered.
        published: events that followed from them.
        late: entries that were given to the handler after their deadline.
        retried: tries of a handler after the first.
        dead: entries that went to the dead letters.
    """

    handled: int = 0
    published: int = 0
    late: int = 0
    retried: int = 0
    dead: int = 0

    @property
    def progress(self) -> int:
        """Return how many entries are finished."""
        return self.handled + self.dead


class Worker:
    """Runs a handler over streams. An entry is acknowledged with what followed from it, in one transaction.

    A handler may be given an event again after it raised, or after a restart; it must answer as it did the first time.
    """

    def __init__(self, bus: Bus, producer: Producer, reading: Reading, handler: Handler, patience: Patience) -> None:
        """Set it up.

        Args:
            bus: the connection that `producer` publishes on, too.
            producer: publishes the answers; started.
            reading: what to read.
            handler: takes an event and returns the events that follow from it.
            patience: waits, and says when to stop.
        """
        self.counts = Counts()
        self._bus = bus
        self._producer = producer
        self._reading = reading
        self._handler = handler
        self._patience = patience
        self._careful = True
        self._unheard = 0  # answers of the bus that were lost on the way, with entries that so were given and not tried
        self._answered: dict[tuple[str, str], None] = {}  # (stream, entry id), the newest last

    def run(self) -> None:
        """Work until stopped, then finish what was taken.

        Raises:
            Conflict: somebody else publishes as this service.
            StationError: what the handler or the bus says a person has to mend.
            Unavailable: the bus is away, and the producer does not wait for it.
        """
        try:
            while not self._patience.stopped():
                self.turn()
        except Unavailable as error:
            if not self._patience.stopped():
                raise
            # Stopped while the bus or what the handler needs was away: what is left is delivered after the start.
            structlog.get_logger().warning("stopped before the last entries were finished", reason=str(error))

    def turn(self) -> None:
        """Take what there is, at most a batch, and finish it.

        Raises:
            Unavailable: stopped before it was finished.
        """
        entries = self._take()
        # Entries given before may have killed the process: one at a time, so that only the guilty one is counted up.
        self._careful = any(entry.deliveries > 1 for entry in entries)
        silent: list[Entry] = []  # handled, and nothing followed
        for entry in entries:
            if self._finish(entry, silent):
                silent.append(entry)
        if silent:
            self._patience.persist(lambda: self._bus.acknowledge(self._reading.group, silent))

    def _take(self) -> list[Entry]:
        reading = self._reading
        count = 1 if self._careful else reading.batch

        def attempt() -> list[Entry]:
            try:
                return self._bus.consume(reading.streams, reading.group, reading.consumer, count, reading.wait_ms)
            except Unavailable:
                self._unheard += 1
                raise

        return self._patience.persist(attempt)

    def _finish(self, entry: Entry, silent: list[Entry]) -> bool:
        """Handle an entry; return True if nothing follows from it, so that it is yet to be acknowledged."""
        if (entry.stream, entry.entry_id) in self._answered:
            return True
        try:
            batch = self._answer(entry)
        except Poison as error:
            self._bury(entry, str(error))
            return False
        if batch.entries:
            self._producer.send(batch, [*silent, entry], self._reading.group)
            self.counts.published += len(batch.entries)
            silent.clear()
        self.counts.handled += 1
        self._remember(entry)
        return not batch.entries

    def _remember(self, entry: Entry) -> None:
        self._answered[entry.stream, entry.entry_id] = None
        if len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]

    def _answer(self, entry: Entry) -> Batch:
        tries = max(0, entry.deliveries - 1 - self._unheard)
        if tries >= TRIES:
            raise Poison(f"given {tries} times and never answered")
        event = codec.decode(entry.data)
        if event.deadline_ns is not None and self._patience.clock.monotonic_ns() > event.deadline_ns:
            self.counts.late += 1
        while True:
            tries += 1
            try:
                answers = self._patience.persist(lambda: self._handler(event))
                return self._producer.prepare([_follow(event, answer) for answer in answers])
            except (Poison, Conflict, StationError, Unavailable):
                raise
            except Exception as error:  # whatever a handler may raise is about this one event
                if tries >= TRIES:
                    raise Poison(f"failed {tries} times, at last with {type(error).__name__}: {error}") from error
                self.counts.retried += 1

    def _bury(self, entry: Entry, reason: str) -> None:
        group = self._reading.group
        self._patience.persist(lambda: self._bus.dead_letter(group, entry, reason))
        self.counts.dead += 1
        alarms.log(Alarm("dead_letter", entry.stream, group, f"{entry.entry_id} of {entry.stream}: {reason}"))


def _follow(cause: Event, answer: Event) -> Event:
    """Return an answer that names what it follows from, unless its handler has said so."""
    return msgspec.structs.replace(
        answer,
        causation_id=answer.causation_id or cause.event_id,
        correlation_id=answer.correlation_id or cause.correlation_id or cause.event_id,
    )
