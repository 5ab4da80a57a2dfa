# SPDX-License-Identifier: Apache-2.0
"""A bus whose connection breaks when the test says so: before a call was done, or after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry
from station.clock import Clock
from station.domain.operation import Health
from station.errors import Unavailable
from station.events import HealthEvent

Fault = Literal["", "before", "after"]


class FlakyBus(MemoryBus):
    """Breaks by a plan: one fault a call, none when the plan is at its end."""

    def __init__(self, streams: Streams, clock: Clock, faults: Iterable[Fault] = ()) -> None:
        super().__init__(streams, clock)
        self.faults = iter(faults)

    def _call(self, function: Any, *arguments: Any) -> Any:
        fault = next(self.faults, "")
        if fault == "before":
            raise Unavailable("broke before")
        answer = function(*arguments)
        if fault == "after":
            self.close()  # what was given is pending, and given again
            raise Unavailable("broke after")
        return answer

    def publish(self, entries: Sequence[Entry], acknowledge: Sequence[Entry] = (), group: str = "") -> None:
        self._call(super().publish, entries, acknowledge, group)

    def consume(self, *arguments: Any) -> list[Entry]:
        found: list[Entry] = self._call(super().consume, *arguments)
        return found

    def acknowledge(self, group: str, entries: Sequence[Entry]) -> None:
        self._call(super().acknowledge, group, entries)

    def dead_letter(self, group: str, entry: Entry, reason: str) -> None:
        self._call(super().dead_letter, group, entry, reason)

    def head(self, stream: str) -> str:
        head: str = self._call(super().head, stream)
        return head


def health(progress: int, **envelope: Any) -> HealthEvent:
    """Return an event that carries a number, not yet numbered itself."""
    payload = Health(state="progress", progress=progress)
    return HealthEvent(agent_id="", run=0, sequence=0, timestamp=1, available=1, payload=payload, **envelope)
