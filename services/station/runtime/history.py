# SPDX-License-Identifier: Apache-2.0
"""What a service has to know again after a restart, out of the streams themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from station import codec
from station.bus import ids
from station.bus.ids import NONE, EntryId
from station.bus.port import Bus, Entry
from station.errors import Poison
from station.events import Event, MarketEvent

T = TypeVar("T")
# As many as the recorder leaves in a stream by default, and more than any strategy here looks back.
ENTRIES = 10_000
_PAGE = 1000
Ask = Callable[[Callable[[], list[Entry]]], list[Entry]]


def tail(bus: Bus, ask: Ask, stream: str, until: EntryId, count: int = ENTRIES) -> Sequence[Entry]:
    """Return the newest entries of a stream up to an id, oldest first.

    Args:
        bus: where the stream is.
        ask: makes a call again until the bus answers (`Patience.persist`).
        stream: its name.
        until: the last entry.
        count: how many, at most.
    """
    run, sequence = until
    # Within a run the numbers tell where to begin; a run that is shorter makes it read what is there of others.
    after = (run, sequence - count) if sequence > count else NONE
    found: deque[Entry] = deque(maxlen=count)
    while after < until:
        page = ask(lambda after=after: bus.read(stream, ids.spell(after), _PAGE))  # type: ignore[misc]
        found.extend(entry for entry in page if ids.parse(entry.entry_id) <= until)
        if len(page) < _PAGE:
            break
        after = ids.parse(page[-1].entry_id)
    return found


def events(entries: Sequence[Entry]) -> Iterator[Event]:
    """Yield the events of entries; those that this release cannot read are dead letters, and left out."""
    for entry in entries:
        try:
            yield codec.decode(entry.data)
        except Poison:
            continue


def newest_closes(entries: Sequence[Entry]) -> dict[str, int]:
    """Return the close of the newest bar of each symbol, microseconds UTC."""
    found: dict[str, int] = {}
    for event in events(entries):
        if isinstance(event, MarketEvent):
            symbol = event.payload.symbol
            found[symbol] = max(event.timestamp, found.get(symbol, 0))
    return found


class Past:
    """Events that a group was given before the restart, for a strategy that has forgotten them.

    What was acknowledged does not come again, what was not does. Asked before each event, this gives what lies before
    it, so that the strategy sees every event once and in the order of its stream.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[Event]] = {}  # by producer, who has one stream

    def load(self, bus: Bus, ask: Ask, stream: str, group: str) -> None:
        """Read what a group was given of a stream."""
        delivered = [state.delivered for state in bus.groups(stream) if state.group == group]
        if delivered:
            found = events(tail(bus, ask, stream, ids.parse(delivered[0])))
            self._queues[stream.partition(":")[2]] = deque(found)

    def before(self, event: Event) -> Iterator[Event]:
        """Yield what lies before an event that came again or is new, and forget the event itself."""
        queue = self._queues.get(event.agent_id)
        place = (event.run, event.sequence)
        while queue and (queue[0].run, queue[0].sequence) < place:
            yield queue.popleft()
        if queue and (queue[0].run, queue[0].sequence) == place:
            queue.popleft()

    def rest(self) -> Iterator[Event]:
        """Yield all that is left, by time."""
        left = [event for queue in self._queues.values() for event in queue]
        self._queues.clear()
        yield from sorted(left, key=lambda event: event.available)
