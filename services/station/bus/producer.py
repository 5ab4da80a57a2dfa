# SPDX-License-Identifier: Apache-2.0
"""The writing side of a service: it numbers events and sees to it that each is in the stream once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from station import codec
from station.bus import ids, lag
from station.bus.ids import NONE, EntryId
from station.bus.port import Bus, Entry
from station.bus.state_file import StateFile
from station.domain.operation import Health
from station.events import Event, HealthEvent
from station.retry import Patience


@dataclass(frozen=True, slots=True)
class Batch:
    """Events with their numbers, and the entries they travel as."""

    events: tuple[Event, ...]
    entries: tuple[Entry, ...]


class Producer:
    """Publishes the events of one service to its stream. Not to be shared between threads."""

    def __init__(self, bus: Bus, stream: str, agent_id: str, patience: Patience, state_file: Path) -> None:
        """Set it up; `start` comes before anything else.

        Args:
            bus: carries the events.
            stream: nobody else writes to it.
            agent_id: name of the service in its events.
            patience: waits for the bus, and tells the time that names the run.
            state_file: remembers what was published last.
        """
        self._bus = bus
        self._stream = stream
        self._agent_id = agent_id
        self._patience = patience
        self._state_file = state_file
        self._state: StateFile | None = None
        self._last: EntryId = NONE

    def start(self) -> None:
        """Begin a run: its first event names the run before and the last event that was published in it.

        Raises:
            StationError: the state file cannot be kept, or another process publishes as this service.
            Unavailable: stopped before the bus answered.
        """
        self._state = StateFile(self._state_file)
        known = self._state.before
        head = ids.parse(self._patience.persist(lambda: self._bus.head(self._stream)))
        run, sequence = before = max(head, known or NONE)
        now = self._patience.clock.now()
        self._last = (max(now // 1000, run + 1), 0)
        forgotten = known is None and before != NONE
        health = Health(
            state="started",
            previous_run=run,
            previous_sequence=sequence,
            power_lost=self._state.power_lost or None,
            detail=f"{self._state_file} says nothing of the run before" if forgotten else "",
        )
        self.publish([HealthEvent(agent_id="", run=0, sequence=0, timestamp=now, available=now, payload=health)])

    def prepare(self, events: Sequence[Event]) -> Batch:
        """Return events as they will be published next: their agent_id, run and sequence are set here.

        Raises:
            TypeError, ValueError: an event has no canonical bytes.
        """
        run, sequence = self._last
        numbered = tuple(
            msgspec.structs.replace(event, agent_id=self._agent_id, run=run, sequence=number)
            for number, event in enumerate(events, sequence + 1)
        )
        entries = tuple(Entry(self._stream, event.entry_id, codec.encode(event)) for event in numbered)
        return Batch(numbered, entries)

    def send(self, batch: Batch, acknowledge: Sequence[Entry] = (), group: str = "") -> None:
        """Publish what was prepared last and acknowledge what it answers: once, however often the bus goes away.

        Args:
            batch: what `prepare` returned last.
            acknowledge: entries that need not be delivered again.
            group: to whom they were delivered.

        Raises:
            Conflict: somebody else writes to the stream.
            Unavailable: stopped while nobody knew whether it was done; the service has to end.
        """
        if self._state is None:
            raise RuntimeError(f"{self._agent_id} publishes before it was started")
        self._patience.persist(lambda: self._bus.publish(batch.entries, acknowledge, group))
        if batch.entries:
            self._last = ids.parse(batch.entries[-1].entry_id)
            self._state.note(self._last)

    def publish(self, events: Sequence[Event], acknowledge: Sequence[Entry] = (), group: str = "") -> tuple[Event, ...]:
        """Prepare events, send them, and return them as they were published."""
        batch = self.prepare(events)
        self.send(batch, acknowledge, group)
        return batch.events

    def backlog(self) -> int:
        """Return how many entries the slowest reader has not acknowledged; a source that can wait does, above a bound.

        Raises:
            Unavailable: stopped before the bus answered.
        """
        return lag.backlog(self._patience.persist(lambda: self._bus.groups(self._stream)))

    def close(self) -> None:
        """Write down what was published last, and let another process go on."""
        if self._state is not None:
            self._state.close()
            self._state = None
