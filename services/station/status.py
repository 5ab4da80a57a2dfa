# SPDX-License-Identifier: Apache-2.0
"""How every stream stands: how fast it grows, how old its newest event is, and how far each group is behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from station import codec
from station.bus import ids
from station.bus.ids import EntryId
from station.bus.port import DEAD, Bus
from station.clock import Clock
from station.errors import Poison

_SECOND = 1_000_000
_SECOND_NS = 1_000_000_000
_MILLISECOND = 1000
_PAGE = 1000
HEADINGS = ("stream", "events/s", "length", "head", "newest", "group", "lag", "pending")
_DAY_S = 86_400
_UNITS = ((3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a stream; `lag` is None if the server cannot tell."""

    name: str
    lag: int | None
    pending: int


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream.

    Attributes:
        rate: events a second while we looked.
        length: entries that are in it now; None for a stream without groups.
        head: id of the newest entry.
        newest: when the newest event could be known, us UTC; None if it is gone, or no event.
        age_s: seconds since then.
        groups: who reads it.
    """

    name: str
    rate: float
    length: int | None
    head: str
    newest: int | None
    age_s: float | None
    groups: tuple[Group, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def look(bus: Bus, clock: Clock, seconds: float) -> list[Stream]:
    """Return how all streams are.

    Args:
        bus: where they are.
        clock: tells ages, and waits between the two looks that make a rate.
        seconds: between them, above zero.

    Raises:
        Unavailable: the bus does not answer.
    """
    before, begun_ns = _heads(bus), clock.monotonic_ns()
    clock.sleep(seconds)
    after, elapsed_ns = _heads(bus), clock.monotonic_ns() - begun_ns
    return [
        _letters(bus, clock, name, head)
        if name.startswith(DEAD)
        else _stream(bus, clock, name, head, _rate(before.get(name, head), head, elapsed_ns / _SECOND_NS))
        for name, head in sorted(after.items())
    ]


def rows(streams: Sequence[Stream]) -> list[tuple[str, ...]]:
    """Return a row a group, a stream's own figures in its first one."""
    found: list[tuple[str, ...]] = []
    for stream in streams:
        own = (
            stream.name,
            f"{stream.rate:.1f}",
            "-" if stream.length is None else str(stream.length),
            stream.head,
            _newest(stream),
        )
        for group in stream.groups or (None,):
            found.append((*own, *_cells(group)))
            own = ("", "", "", "", "")
    return found


def _cells(group: Group | None) -> tuple[str, str, str]:
    if group is None:
        return "-", "", ""
    return group.name, "?" if group.lag is None else str(group.lag), str(group.pending)


def _newest(stream: Stream) -> str:
    """Return how old the newest event is, or of one that is replayed, which is older than a day, its own time."""
    if stream.newest is None or stream.age_s is None:
        return "-"
    if stream.age_s < _DAY_S:
        return spelled(stream.age_s)
    return datetime.fromtimestamp(stream.newest / _SECOND, UTC).strftime("%Y-%m-%d %H:%M")


def spelled(seconds: float) -> str:
    """Return a duration as people say it."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _heads(bus: Bus) -> Mapping[str, EntryId]:
    return {name: ids.parse(bus.head(name)) for name in bus.streams()}


def _rate(before: EntryId, after: EntryId, seconds: float) -> float:
    # A new run counts from 1 again.
    return (after[1] - before[1] if after[0] == before[0] else after[1]) / seconds


def _stream(bus: Bus, clock: Clock, name: str, head: EntryId, rate: float) -> Stream:
    states = sorted(bus.groups(name), key=lambda state: state.group)
    last = bus.read(name, ids.spell((head[0], head[1] - 1)), 1) if head[1] else []
    newest = None
    with suppress(Poison):
        newest = codec.header(last[0].data).available if last else None
    return Stream(
        name=name,
        rate=rate,
        length=states[0].length if states else None,
        head=ids.spell(head),
        newest=newest,
        age_s=None if newest is None else (clock.now() - newest) / _SECOND,
        groups=tuple(Group(state.group, state.lag, state.pending) for state in states),
    )


def _letters(bus: Bus, clock: Clock, name: str, head: EntryId) -> Stream:
    number, after = 0, "0-0"
    while letters := bus.dead_letters(name.removeprefix(DEAD), after, _PAGE):
        number, after = number + len(letters), letters[-1].letter_id
    # The server numbers them by its clock.
    newest = head[0] * _MILLISECOND
    return Stream(name, 0.0, number, ids.spell(head), newest, (clock.now() - newest) / _SECOND, ())
