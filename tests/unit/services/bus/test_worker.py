# SPDX-License-Identifier: Apache-2.0
"""The loop of an agent: every entry answered once, or in the dead letters with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station import codec
from station.bus.lag import backlog
from station.bus.memory import MemoryBus, Streams
from station.bus.port import DeadLetter, Entry
from station.bus.producer import Producer
from station.bus.worker import Handler, Reading, Worker
from station.errors import Conflict, Poison, StationError, Unavailable
from station.events import Event, HealthEvent
from station.retry import Patience
from structlog.testing import capture_logs

from tests.unit.services.bus.flaky import FlakyBus, health
from tests.unit.services.manual_clock import ManualClock

STREAM, OUT, GROUP = "md:replay", "strat:echo", "echo"


class World:
    """A stream of numbered questions, and a worker whose handler the test brings."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.streams, self.clock = folder, Streams(), ManualClock()
        self.stop: Callable[[], bool] = lambda: False
        self.bus = MemoryBus(self.streams, self.clock)
        self.lives = 0
        self._producers: list[Producer] = []

    def stopped(self) -> bool:
        return self.stop()

    def ask(self, *numbers: int, **envelope: Any) -> None:
        head = int(self.bus.head(STREAM).split("-")[1])
        self.bus.publish(
            [
                Entry(STREAM, f"1-{sequence}", codec.encode(named(health(number, **envelope), sequence)))
                for sequence, number in enumerate(numbers, head + 1)
            ]
        )

    def worker(self, handler: Handler, batch: int = 100, faults: Any = (), consumer: str = "a") -> Worker:
        """Start the service; its life before ends as a crash does."""
        self.close()
        self.lives += 1
        bus = FlakyBus(self.streams, self.clock)
        patience = Patience(self.clock, self.stopped)
        producer = Producer(bus, OUT, "echo", patience, self.folder / "echo")
        producer.start()
        self._producers.append(producer)
        bus.faults = iter(faults)
        return Worker(bus, producer, Reading((STREAM,), GROUP, consumer, batch, wait_ms=0), handler, patience)

    def work(self, worker: Worker) -> None:
        """Turn until there is nothing left."""
        before = -1
        while before != worker.counts.progress or self.pending():
            before = worker.counts.progress
            worker.turn()

    def answers(self) -> list[Event]:
        events = [codec.decode(entry.data) for entry in self.bus.read(OUT, "0-0", 10_000)]
        return [event for event in events if not (isinstance(event, HealthEvent) and event.payload.state == "started")]

    def numbers(self) -> list[int]:
        return [event.payload.progress for event in self.answers() if isinstance(event, HealthEvent)]

    def letters(self) -> list[DeadLetter]:
        return self.bus.dead_letters(GROUP)

    def pending(self) -> int:
        """Return how many questions are not acknowledged."""
        states = self.bus.groups(STREAM)
        return backlog(states) if states else len(self.bus.read(STREAM, "0-0", 10_000))

    def close(self) -> None:
        while self._producers:
            self._producers.pop().close()


def named(event: HealthEvent, sequence: int) -> Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return HealthEvent(**fields | {"agent_id": "replay", "run": 1, "sequence": sequence})


def echo(event: Event) -> Sequence[Event]:
    assert isinstance(event, HealthEvent)
    return [health(event.payload.progress)]


def nothing(_event: Event) -> Sequence[Event]:
    return []


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@contextmanager
def fresh_world() -> Iterator[World]:
    with TemporaryDirectory() as folder:
        made = World(Path(folder))
        yield made
        made.close()


def test_answers_name_their_cause_and_the_beginning_of_the_chain(world: World):
    world.ask(1)
    world.ask(2, correlation_id="tiingo/9-9", causation_id="tiingo/9-9")
    world.work(world.worker(echo))
    first, second = world.answers()
    assert (first.causation_id, first.correlation_id) == ("replay/1-1", "replay/1-1")
    assert (second.causation_id, second.correlation_id) == ("replay/1-2", "tiingo/9-9")


def test_a_handler_that_names_another_cause_is_believed(world: World):
    world.ask(1)
    world.work(world.worker(lambda _: [health(1, causation_id="x/1-1", correlation_id="y/1-1")]))
    [answer] = world.answers()
    assert (answer.causation_id, answer.correlation_id) == ("x/1-1", "y/1-1")


def test_what_needs_no_answer_is_acknowledged_too(world: World):
    world.ask(1, 2, 3)
    worker = world.worker(nothing)
    world.work(worker)
    assert (worker.counts.handled, worker.counts.published, worker.counts.progress) == (3, 0, 3)
    assert world.pending() == 0


def test_entries_without_an_answer_are_acknowledged_with_the_next_answer(world: World, monkeypatch: pytest.MonkeyPatch):
    world.ask(1, 2, 3, 4)
    worker = world.worker(lambda event: [health(3)] if event.sequence == 3 else [])
    worker._careful = False
    calls: list[tuple[str, list[str]]] = []
    publish, acknowledge = worker._bus.publish, worker._bus.acknowledge

    def watched_publish(entries: Sequence[Entry], answered: Sequence[Entry] = (), group: str = "") -> None:
        calls.append(("publish", [entry.entry_id for entry in answered]))
        publish(entries, answered, group)

    def watched_acknowledge(group: str, entries: Sequence[Entry]) -> None:
        calls.append(("acknowledge", [entry.entry_id for entry in entries]))
        acknowledge(group, entries)

    monkeypatch.setattr(worker._bus, "publish", watched_publish)
    monkeypatch.setattr(worker._bus, "acknowledge", watched_acknowledge)
    worker.turn()
    assert calls == [("publish", ["1-1", "1-2", "1-3"]), ("acknowledge", ["1-4"])]
    assert world.pending() == 0


def test_poison_is_a_dead_letter_with_the_reason_and_the_stream_flows_on(world: World):
    world.ask(1)
    world.bus.publish([Entry(STREAM, "1-2", b"rubbish")])
    world.ask(3)

    def refuse_one(event: Event) -> Sequence[Event]:
        if event.sequence == 1:
            raise Poison("unknown symbol")
        return echo(event)

    worker = world.worker(refuse_one)
    with capture_logs() as logs:
        world.work(worker)
    first, second = world.letters()
    assert first.reason == "unknown symbol"
    assert second.reason.startswith("not an event: JSON is malformed")
    assert [line["alarm"] for line in logs] == ["dead_letter", "dead_letter"]
    assert world.numbers() == [3]
    assert (worker.counts.dead, worker.counts.handled) == (2, 1)
    assert world.pending() == 0


def test_a_handler_has_three_tries(world: World):
    world.ask(1, 2)
    left = {1: 2, 2: 3}  # how often each fails

    def fail_at_times(event: Event) -> Sequence[Event]:
        if left[event.sequence]:
            left[event.sequence] -= 1
            raise ValueError("no bars yet")
        return echo(event)

    worker = world.worker(fail_at_times)
    world.work(worker)
    assert world.numbers() == [1]
    [letter] = world.letters()
    assert letter.reason == "failed 3 times, at last with ValueError: no bars yet"
    assert worker.counts.retried == 4


def test_an_answer_without_a_spelling_is_the_handlers_fault(world: World):
    world.ask(1)
    world.work(world.worker(lambda _: [health(1, confidence_score=0.5)]))
    [letter] = world.letters()
    assert "TypeError: float has no canonical form" in letter.reason


def test_what_kills_the_process_again_and_again_is_a_dead_letter_and_its_neighbours_are_not(world: World):
    world.ask(*range(1, 10))

    def die_of_some(event: Event) -> Sequence[Event]:
        if event.sequence in {4, 6, 8}:
            raise Crash
        return echo(event)

    # A long batch, taken when all was well: everything in it has been given once when the process dies.
    worker = world.worker(die_of_some)
    worker._careful = False
    crashes = 0
    while world.pending():
        try:
            world.work(worker)
        except Crash:
            crashes += 1
            worker = world.worker(die_of_some)
    assert crashes == 3 + 2 + 2
    assert [letter.entry.entry_id for letter in world.letters()] == ["1-4", "1-6", "1-8"]
    assert {letter.reason for letter in world.letters()} == {"given 3 times and never answered"}
    assert world.numbers() == [1, 2, 3, 5, 7, 9]


def test_a_handler_whose_other_side_is_away_is_waited_for_and_that_is_no_try(world: World):
    world.ask(1)
    away = [1] * 10

    def wait_for_it(event: Event) -> Sequence[Event]:
        if away:
            away.pop()
            raise Unavailable("the database is away")
        return echo(event)

    worker = world.worker(wait_for_it)
    world.work(worker)
    assert world.numbers() == [1]
    assert len(world.clock.slept) == 10
    assert worker.counts.retried == 0


@pytest.mark.parametrize("error", [StationError("no such strategy"), Conflict("two writers")])
def test_what_a_person_has_to_mend_ends_the_worker_and_the_entry_stays(world: World, error: Exception):
    world.ask(1)

    def give_up(_event: Event) -> Sequence[Event]:
        raise error

    with pytest.raises(type(error)):
        world.worker(give_up).run()
    assert world.letters() == []
    assert world.pending() == 1


def test_late_events_are_counted_and_handled(world: World):
    world.ask(0, 1, deadline_ns=world.clock.ns - 1)
    world.ask(2, deadline_ns=world.clock.ns + 10**9)
    world.ask(3)
    worker = world.worker(echo)
    world.work(worker)
    assert worker.counts.late == 2
    assert world.numbers() == [0, 1, 2, 3]


def test_a_stop_finishes_what_was_taken_and_takes_no_more(world: World):
    world.ask(*range(1, 7))
    seen: list[int] = []

    def handle(event: Event) -> Sequence[Event]:
        seen.append(event.sequence)
        return echo(event)

    worker = world.worker(handle, batch=4)
    worker._careful = False
    world.stop = lambda: bool(seen)
    worker.run()
    assert world.numbers() == [1, 2, 3, 4]
    assert world.pending() == 2


def test_a_stop_while_the_bus_is_away_ends_the_worker_and_leaves_the_rest_for_the_next_start(world: World):
    world.ask(1, 2)
    tries: list[int] = []

    def handle(event: Event) -> Sequence[Event]:
        tries.append(event.sequence)
        return echo(event)

    worker = world.worker(handle, faults=["", *["before"] * 1000])
    world.stop = lambda: len(world.clock.slept) > 20
    with capture_logs() as logs:
        worker.run()
    assert [line["event"] for line in logs] == ["stopped before the last entries were finished"]
    world.stop = lambda: False
    world.work(world.worker(handle))
    assert world.numbers() == [1, 2]


def test_a_producer_that_does_not_wait_for_the_bus_ends_the_worker(world: World):
    world.ask(1)
    worker = world.worker(echo, faults=["", "before"])
    worker._producer._patience = Patience(world.clock, lambda: True)
    with pytest.raises(Unavailable):
        worker.run()


def test_a_worker_that_is_given_an_answered_entry_again_does_not_answer_again(world: World):
    world.ask(1, 2)
    worker = world.worker(lambda event: echo(event) if event.sequence == 1 else [])
    world.work(worker)
    world.streams.by_name[STREAM].groups.clear()
    world.work(worker)
    assert world.numbers() == [1]
    assert worker.counts.handled == 2
    assert world.pending() == 0


# An entry is given up after three deliveries that nobody answered. Answers of the bus that were lost on the way do not
# count, but who died knows of none.
broken = st.lists(st.sampled_from(["", "", "before", "after"]), max_size=60)
refused = st.lists(st.sampled_from(["", "", "before"]), max_size=60)


@given(
    plan=st.one_of(
        st.tuples(broken, st.just(frozenset[int]())),
        st.tuples(refused, st.frozensets(st.integers(1, 30), max_size=2)),
    ),
    batch=st.integers(1, 5),
)
def test_however_bus_and_process_break_every_event_is_answered_once(plan: tuple[list[Any], frozenset[int]], batch: int):
    faults, deaths = iter(plan[0]), plan[1]
    calls = 0

    def handle(event: Event) -> Sequence[Event]:
        nonlocal calls
        calls += 1
        if calls in deaths:
            raise Crash
        return echo(event)

    with fresh_world() as world:
        world.ask(*range(1, 11))
        worker = world.worker(handle, batch, faults)
        while world.pending():
            try:
                world.work(worker)
            except Crash:
                worker = world.worker(handle, batch, faults)
        assert world.numbers() == list(range(1, 11))
        assert world.letters() == []
