# SPDX-License-Identifier: Apache-2.0
"""Runs, numbers, and each event once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station import codec
from station.bus import state_file
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry
from station.bus.producer import Producer
from station.errors import Conflict, StationError, Unavailable
from station.events import Event, HealthEvent
from station.retry import Patience

from tests.unit.services.bus.flaky import FlakyBus, health
from tests.unit.services.manual_clock import ManualClock

STREAM, GROUP = "md:replay", "momentum"
RUN = 1_700_000_000_000


class World:
    """Streams, a folder for state files, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.streams, self.clock, self.folder = Streams(), ManualClock(), folder
        self.stopped = False

    def producer(self, faults: Any = (), state: str = "replay") -> Producer:
        bus = FlakyBus(self.streams, self.clock, faults)
        return Producer(bus, STREAM, "replay", Patience(self.clock, lambda: self.stopped), self.folder / state)

    def events(self) -> list[Event]:
        return [codec.decode(entry.data) for entry in MemoryBus(self.streams).read(STREAM, "0-0", 10_000)]

    def starts(self) -> list[tuple[str, int, int]]:
        """Return each start as (entry id, previous run, previous sequence)."""
        return [
            (event.entry_id, event.payload.previous_run, event.payload.previous_sequence)
            for event in self.events()
            if isinstance(event, HealthEvent) and event.payload.state == "started"
        ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@contextmanager
def fresh_world() -> Iterator[World]:
    with TemporaryDirectory() as folder:
        yield World(Path(folder))


def test_a_run_is_named_by_its_start_and_begins_with_an_event_that_says_so(world: World):
    producer = world.producer()
    producer.start()
    [started] = world.events()
    assert (started.agent_id, started.run, started.sequence) == ("replay", RUN, 1)
    assert (started.timestamp, started.available) == (world.clock.now(), world.clock.now())
    assert world.starts() == [(f"{RUN}-1", 0, 0)]
    producer.close()


def test_events_are_numbered_without_a_gap_and_returned_as_they_were_published(world: World):
    producer = world.producer()
    producer.start()
    published = producer.publish([health(1), health(2)]) + producer.publish([]) + producer.publish([health(3)])
    assert [event.event_id for event in published] == [f"replay/{RUN}-{number}" for number in (2, 3, 4)]
    assert world.events()[1:] == list(published)
    producer.close()


def test_the_next_run_names_the_last_event_of_the_one_before(world: World):
    producer = world.producer()
    producer.start()
    producer.publish([health(1), health(2)])
    producer.close()
    world.clock.pass_time(60)
    again = world.producer()
    again.start()
    assert world.starts()[1:] == [(f"{RUN + 60_000}-1", RUN, 3)]
    again.close()


def test_what_a_power_cut_took_from_the_stream_is_named_by_the_state_file(world: World):
    producer = world.producer()
    producer.start()
    producer.publish([health(1), health(2)])
    producer.close()
    world.streams.by_name.clear()
    again = world.producer()
    again.start()
    assert world.starts() == [(f"{RUN + 1}-1", RUN, 3)]
    again.close()


def test_the_stream_knows_what_a_crash_left_out_of_the_state_file(world: World):
    producer = world.producer()
    producer.start()
    producer.publish([health(1)])
    producer.close()
    (world.folder / "replay").write_bytes(b"%020d %020d ended\n" % (RUN, 1))
    again = world.producer()
    again.start()
    assert world.starts()[1:] == [(f"{RUN + 1}-1", RUN, 2)]
    again.close()


@pytest.fixture
def reboot(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Return a function after which the host has been started anew."""
    monkeypatch.setenv(state_file.BOOT, "first")
    return lambda: monkeypatch.setenv(state_file.BOOT, "second")


def test_a_run_that_did_not_end_before_a_new_boot_may_have_come_further_than_anybody_knows(world: World, reboot):
    crashed = world.producer()
    crashed.start()
    crashed.publish([health(1)])
    left = (world.folder / "replay").read_bytes()
    crashed.close()

    def power_lost_by(state: bytes) -> bool | None:
        (world.folder / "replay").write_bytes(state)
        again = world.producer()
        again.start()
        started = [event.payload for event in world.events() if isinstance(event, HealthEvent)][-1]
        assert started.state == "started"
        again.close()
        return started.power_lost

    ended = (world.folder / "replay").read_bytes()
    assert power_lost_by(left) is None, "killed, and the host went on"
    reboot()
    assert power_lost_by(left) is True
    assert power_lost_by(ended) is None, "it had ended in order"


def test_a_run_is_greater_than_all_before_it_whatever_the_clock_says(world: World):
    producer = world.producer()
    producer.start()
    producer.close()
    world.clock.pass_time(-3600)
    for number in (1, 2):
        again = world.producer()
        again.start()
        assert world.starts()[-1][0] == f"{RUN + number}-1"
        again.close()


def test_a_state_file_that_says_nothing_is_told(world: World):
    producer = world.producer()
    producer.start()
    producer.close()
    again = world.producer(state="another")
    again.start()
    details = [event.payload.detail for event in world.events() if isinstance(event, HealthEvent)]
    assert details[0] == ""
    assert details[1].endswith("another says nothing of the run before")
    again.close()


def test_two_producers_of_one_service_are_refused(world: World):
    producer = world.producer()
    producer.start()
    with pytest.raises(StationError, match="another process publishes as this service"):
        world.producer().start()
    producer.close()


def test_publishing_before_the_start_is_a_mistake(world: World):
    with pytest.raises(RuntimeError, match="before it was started"):
        world.producer().publish([health(1)])
    assert world.events() == []


def test_answers_are_published_with_the_acknowledgement(world: World):
    bus = MemoryBus(world.streams)
    bus.publish([Entry("md:other", "1-1", b"question")])
    questions = bus.consume(["md:other"], GROUP, "a", 1)
    producer = world.producer()
    producer.start()
    producer.publish([health(1)], questions, GROUP)
    assert bus.groups("md:other")[0].pending == 0
    producer.close()


def test_a_second_writer_is_a_conflict_that_is_not_tried_again(world: World):
    producer = world.producer()
    producer.start()
    MemoryBus(world.streams).publish([Entry(STREAM, f"{RUN + 5}-1", b"of another")])
    with pytest.raises(Conflict):
        producer.publish([health(1)])
    assert world.clock.slept == []
    producer.close()


def test_who_is_stopped_in_doubt_may_send_the_same_again_and_it_is_there_once(world: World):
    producer = world.producer(faults=["", "", "after"])
    producer.start()
    world.stopped = True
    with pytest.raises(Unavailable):
        producer.publish([health(1)])
    producer.publish([health(1)])
    assert [event.entry_id for event in world.events()] == [f"{RUN}-1", f"{RUN}-2"]
    producer.close()


def test_an_event_without_a_spelling_is_refused_and_takes_no_number(world: World):
    producer = world.producer()
    producer.start()
    with pytest.raises(TypeError):
        producer.publish([health(1), health(2, confidence_score=0.5)])
    [event] = producer.publish([health(3)])
    assert event.entry_id == f"{RUN}-2"
    producer.close()


def test_the_backlog_is_what_the_slowest_reader_has_not_acknowledged(world: World):
    producer = world.producer()
    producer.start()
    producer.publish([health(1), health(2)])
    assert producer.backlog() == 0  # nobody reads
    bus = MemoryBus(world.streams)
    bus.acknowledge(GROUP, bus.consume([STREAM], GROUP, "a", 2)[:1])
    assert producer.backlog() == 2
    producer.close()


@given(
    faults=st.lists(st.sampled_from(["", "before", "after"]), max_size=30),
    batches=st.lists(st.integers(0, 3), max_size=10),
)
def test_however_the_bus_breaks_each_event_is_there_once_and_in_order(faults: list[Any], batches: list[int]):
    with fresh_world() as world:
        producer = world.producer(faults)
        producer.start()
        published = [event for size in batches for event in producer.publish([health(size) for _ in range(size)])]
        producer.close()
        events = world.events()
        assert events[1:] == published
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
