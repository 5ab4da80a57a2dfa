# SPDX-License-Identifier: Apache-2.0
"""What `station status` says of streams."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from station import codec, status
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry
from station.domain.operation import Health
from station.events import HealthEvent

START = 1_760_000_000_000_000
SECOND = 1_000_000


@dataclass
class Busy:
    """A clock during whose waits events are published."""

    bus: MemoryBus
    events: int = 0
    run: int = 7
    first: int = 1
    ns: int = 0

    def now(self) -> int:
        return START + self.ns // 1000

    def monotonic_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        publish(self.bus, self.run, range(self.first, self.first + self.events))
        self.ns += int(seconds * 1e9)


def publish(bus: MemoryBus, run: int, sequences: range, stream: str = "md:replay") -> None:
    for sequence in sequences:
        event = HealthEvent(
            agent_id="replay",
            run=run,
            sequence=sequence,
            timestamp=START,
            available=START - 90 * SECOND,
            payload=Health(state="progress"),
        )
        bus.publish([Entry(stream, event.entry_id, codec.encode(event))])


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(Streams())


def test_rate_length_head_and_age_of_a_stream(bus: MemoryBus) -> None:
    publish(bus, 7, range(1, 11))
    bus.consume(["md:replay"], "journal", "recorder", 4)
    (stream,) = status.look(bus, Busy(bus, events=30, first=11), seconds=2.0)
    assert (stream.rate, stream.length, stream.head) == (15.0, 40, "7-40")
    assert stream.age_s == 92.0
    assert stream.groups == (status.Group("journal", 36, 4),)


def test_a_producer_that_started_anew_counts_from_one(bus: MemoryBus) -> None:
    publish(bus, 7, range(1, 100))
    (stream,) = status.look(bus, Busy(bus, events=10, run=8), seconds=1.0)
    assert (stream.rate, stream.head) == (10.0, "8-10")


def test_a_stream_without_readers_is_shown_without_what_only_they_tell(bus: MemoryBus) -> None:
    publish(bus, 7, range(1, 3))
    streams = status.look(bus, Busy(bus), seconds=1.0)
    assert status.rows(streams) == [("md:replay", "0.0", "-", "7-2", "1.5 min", "-", "", "")]


def test_an_event_of_another_day_is_shown_with_its_own_time(bus: MemoryBus) -> None:
    publish(bus, 7, range(1, 3))
    clock = Busy(bus, ns=86_400 * 1_000_000_000)
    assert status.rows(status.look(bus, clock, seconds=1.0))[0][4] == "2025-10-09 08:51"


def test_dead_letters_are_counted_and_as_old_as_their_id(bus: MemoryBus) -> None:
    publish(bus, 7, range(1, 4))
    clock = Busy(bus)
    deadly = MemoryBus(bus._shared, clock)
    for entry in deadly.consume(["md:replay"], "momentum", "momentum", 2):
        deadly.dead_letter("momentum", entry, "no bar")
    dead, _ = status.look(deadly, clock, seconds=3.0)
    assert (dead.name, dead.length, dead.rate, dead.age_s) == ("dead:momentum", 2, 0.0, 3.0)


def test_what_is_no_event_has_no_age(bus: MemoryBus) -> None:
    bus.publish([Entry("md:replay", "7-1", b"{}")])
    (stream,) = status.look(bus, Busy(bus), seconds=1.0)
    assert stream.age_s is None


def test_a_stream_has_a_row_for_each_group_and_its_own_figures_once(bus: MemoryBus) -> None:
    publish(bus, 7, range(1, 3))
    for group in ("momentum", "journal"):
        bus.consume(["md:replay"], group, "one", 1)
    first, second = status.rows(status.look(bus, Busy(bus), seconds=1.0))
    assert first[0] == "md:replay"
    assert first[5:] == ("journal", "1", "1")
    assert second == ("", "", "", "", "", "momentum", "1", "1")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1.0 min"), (7200, "2.0 h")],
)
def test_a_duration_is_spelled_in_its_largest_unit(seconds: float, words: str) -> None:
    assert status.spelled(seconds) == words


def test_as_json_it_has_every_figure(bus: MemoryBus) -> None:
    publish(bus, 7, range(1, 2))
    bus.consume(["md:replay"], "journal", "one", 1)
    (stream,) = status.look(bus, Busy(bus), seconds=1.0)
    assert stream.as_json() == {
        "name": "md:replay",
        "rate": 0.0,
        "length": 1,
        "head": "7-1",
        "newest": START - 90 * SECOND,
        "age_s": 91.0,
        "groups": ({"name": "journal", "lag": 0, "pending": 1},),
    }
