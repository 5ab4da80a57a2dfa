# SPDX-License-Identifier: Apache-2.0
"""The bus over a Redis that crashes, stalls, is full, or is damaged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from station import codec
from station.bus.alarms import Alarm
from station.bus.port import Entry
from station.bus.producer import Producer
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.bus.worker import Reading, Worker
from station.clock import SystemClock
from station.domain.operation import Health
from station.errors import Conflict, StationError, Unavailable
from station.events import Event, HealthEvent
from station.retry import Patience

STREAM, OUT, GROUP = "md:replay", "strat:echo", "echo"


class Service:
    """A producer, or a worker with its producer, in a thread of its own as in a process of its own."""

    def __init__(self, server: Any, folder: Path, name: str, stream: str, timeout: float = 1.0) -> None:
        self.stop = threading.Event()
        self.alarms: list[Alarm] = []
        self.patience = Patience(SystemClock(), self.stop.is_set)
        self.bus = RedisBus(server.server(timeout=timeout), raise_alarm=self.alarms.append)
        self.producer = Producer(self.bus, stream, name, self.patience, folder / name)
        self.published: list[Event] = []
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._guard)
        self._work: Callable[[], None] = lambda: None

    def run(self, work: Callable[[], None]) -> None:
        self._work = work
        self._thread.start()

    def publish_until_stopped(self) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            self.published += self.producer.publish([health(number)])

    def end(self) -> None:
        self.stop.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        self.close()
        assert self.errors == []

    def close(self) -> None:
        self.producer.close()
        self.bus.close()

    def _guard(self) -> None:
        try:
            self.producer.start()
            self._work()
        except BaseException as error:  # noqa: BLE001 - a thread has nobody else to tell
            self.errors.append(error)


def health(progress: int) -> HealthEvent:
    payload = Health(state="progress", progress=progress)
    return HealthEvent(agent_id="", run=0, sequence=0, timestamp=1, available=1, payload=payload)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def new(server: Any, name: str, stream: str, timeout: float = 1.0) -> Service:
        made.append(Service(server, tmp_path, name, stream, timeout))
        return made[-1]

    yield new
    for one in made:
        one.stop.set()


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def until_more_than(number: int, count: Callable[[], int]) -> None:
    until(lambda: count() > number)


def everything(server: Any, stream: str) -> list[Entry]:
    return RedisBus(server.server()).read(stream, "0-0", 1_000_000)


def echo(event: Event) -> list[Event]:
    """Answer with the number that was asked."""
    if not isinstance(event, HealthEvent) or event.payload.state != "progress":
        return []
    return [health(event.payload.progress)]


def numbers(entries: list[Entry]) -> list[int]:
    events = [codec.decode(entry.data) for entry in entries]
    return [event.payload.progress for event in events if isinstance(event, HealthEvent) and event.payload.progress]


def test_a_crash_of_the_server_loses_nothing_that_was_confirmed_and_doubles_nothing(redis_server, service):
    feed = service(redis_server, "feed", STREAM)
    feed.run(feed.publish_until_stopped)
    for crash in range(3):
        until_more_than(300 * (crash + 1), lambda: len(feed.published))
        redis_server.kill()
        redis_server.start()
    until_more_than(len(feed.published), lambda: len(feed.published))
    feed.end()
    found = everything(redis_server, STREAM)
    assert [entry.data for entry in found[1:]] == [codec.encode(event) for event in feed.published]
    assert numbers(found) == list(range(1, len(found)))


def test_a_server_that_comes_back_without_what_it_confirmed_is_given_it_again(redis_server, service):
    feed = service(redis_server, "feed", STREAM)
    feed.producer.start()
    feed.producer.publish([health(1)])
    redis_server.forget(lambda: [feed.producer.publish([health(number)]) for number in (2, 3)])
    redis_server.start()
    feed.producer.publish([health(4)])
    assert numbers(everything(redis_server, STREAM)) == [1, 2, 3, 4]
    assert [alarm.kind for alarm in feed.alarms] == ["rolled_back"]
    feed.close()


def test_a_stalled_server_is_sent_an_event_once(redis_server, service):
    feed = service(redis_server, "feed", STREAM)
    feed.run(feed.publish_until_stopped)
    until_more_than(100, lambda: len(feed.published))
    redis_server.stall()
    stalled_at = len(feed.published)
    time.sleep(3)
    redis_server.resume()
    until_more_than(stalled_at + 100, lambda: len(feed.published))
    feed.end()
    found = everything(redis_server, STREAM)
    assert numbers(found) == list(range(1, len(found)))
    assert [entry.data for entry in found[1:]] == [codec.encode(event) for event in feed.published]


def test_a_stalled_server_does_not_count_tries_that_never_reached_anybody(redis_server):
    bus = RedisBus(redis_server.server(timeout=0.2))
    bus.publish([Entry(STREAM, "1-1", b"1")])
    assert bus.consume([STREAM], GROUP, "other", 10) != []
    bus.publish([Entry(STREAM, "1-2", b"2")])
    redis_server.stall()
    for _ in range(5):
        with pytest.raises(Unavailable):
            bus.consume([STREAM], GROUP, "a", 10)
    redis_server.resume()
    [entry] = bus.consume([STREAM], GROUP, "a", 10)
    assert entry.entry_id == "1-2"
    assert entry.deliveries <= 2


def test_agents_answer_every_event_once_while_the_server_crashes_under_them(redis_server, service):
    feed, agent = service(redis_server, "feed", STREAM), service(redis_server, "echo", OUT)
    worker = Worker(agent.bus, agent.producer, Reading((STREAM,), GROUP, "a", wait_ms=50), echo, agent.patience)
    feed.run(feed.publish_until_stopped)
    agent.run(worker.run)
    for crash in range(3):
        until_more_than(200 * (crash + 1), lambda: worker.counts.handled)
        redis_server.kill()
        redis_server.start()
    feed.end()
    until(lambda: worker.counts.handled > len(feed.published))
    agent.end()
    assert numbers(everything(redis_server, OUT)) == list(range(1, len(feed.published) + 1))
    assert [state.pending for state in agent.bus.groups(STREAM)] == [0]


def test_an_agent_whose_answers_the_server_forgot_publishes_them_again_and_does_not_answer_twice(redis_server, service):
    feed, agent = service(redis_server, "feed", STREAM), service(redis_server, "echo", OUT)
    reading = Reading((STREAM,), GROUP, "a", wait_ms=0)
    worker = Worker(agent.bus, agent.producer, reading, echo, agent.patience)
    feed.producer.start()
    agent.producer.start()
    feed.producer.publish([health(1), health(2)])
    worker.turn()

    def answer_the_rest() -> None:
        while worker.counts.published < 2:
            worker.turn()

    redis_server.forget(answer_the_rest)
    redis_server.start()
    worker.turn()
    assert numbers(everything(redis_server, OUT)) == [1, 2]
    feed.producer.publish([health(3)])
    while worker.counts.published < 3:
        worker.turn()
    assert numbers(everything(redis_server, OUT)) == [1, 2, 3]
    assert [alarm.kind for alarm in agent.alarms] == ["rolled_back"]
    assert [state.pending for state in agent.bus.groups(STREAM)] == [0]
    feed.close()
    agent.close()


def test_poison_is_moved_aside_with_the_reason_and_the_stream_flows_on(redis_server, service):
    agent = service(redis_server, "echo", OUT)

    def fall_over_thirteen(event: Event) -> list[Event]:
        if isinstance(event, HealthEvent) and event.payload.progress == 13:
            raise ZeroDivisionError("thirteen")
        return echo(event)

    reading = Reading((STREAM,), GROUP, "a", wait_ms=20)
    worker = Worker(agent.bus, agent.producer, reading, fall_over_thirteen, agent.patience)
    feed = service(redis_server, "feed", STREAM)
    feed.producer.start()
    feed.producer.publish([health(number) for number in range(12, 15)])
    redis_server.client().xadd(STREAM, {"e": b"\x00 no event"})
    redis_server.client().xadd(STREAM, {"other": b"field"})
    agent.run(worker.run)
    until(lambda: worker.counts.progress == 6)
    agent.end()
    assert numbers(everything(redis_server, OUT)) == [12, 14]
    letters = agent.bus.dead_letters(GROUP)
    assert letters[0].reason == "failed 3 times, at last with ZeroDivisionError: thirteen"
    assert [letter.reason.startswith("not an event") for letter in letters] == [False, True, True]
    assert [letter.entry.stream for letter in letters] == [STREAM] * 3
    feed.close()


def test_a_second_writer_between_the_look_and_the_first_publication_is_found(redis_server, monkeypatch):
    bus = RedisBus(redis_server.server())
    bus.publish([Entry(STREAM, "1-1", b"question")])
    questions = bus.consume([STREAM], GROUP, "a", 10)
    ask = bus._wire.ask

    def ask_and_be_overtaken(*commands):
        answers = ask(*commands)
        if commands[0][0] == "WATCH":
            monkeypatch.undo()
            RedisBus(redis_server.server()).publish([Entry(OUT, "9-1", b"of the second writer")])
        return answers

    monkeypatch.setattr(bus._wire, "ask", ask_and_be_overtaken)
    with pytest.raises(Conflict, match="second writer"):
        bus.publish([Entry(OUT, "8-1", b"answer")], questions, GROUP)
    assert [state.pending for state in bus.groups(STREAM)] == [1]


def test_a_full_server_takes_nothing_until_something_was_trimmed(new_redis):
    server = new_redis("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    bus = RedisBus(server.server())
    sent: list[Entry] = []

    def publish_one_more() -> None:
        entry = Entry(STREAM, f"1-{len(sent) + 1}", b"x" * 10_000)
        bus.publish([entry])
        sent.append(entry)

    with pytest.raises(Unavailable, match="takes nothing now"):
        until(publish_one_more)
    read = bus.consume([STREAM], GROUP, "a", 1000)
    assert read == sent
    bus.acknowledge(GROUP, read)
    bus.trim(STREAM, sent[-1].entry_id)
    refused = Entry(STREAM, f"1-{len(sent) + 1}", b"x" * 10_000)
    bus.publish([refused])
    assert bus.consume([STREAM], GROUP, "a", 1000) == [refused]


def test_an_absent_server_is_unavailable_and_says_where_it_was_looked_for(tmp_path):
    bus = RedisBus(Server(tmp_path / "redis.sock"))
    with pytest.raises(Unavailable, match=r"redis\.sock"):
        bus.head(STREAM)


def test_a_server_that_does_not_let_us_in_is_for_a_person_and_no_message_holds_the_password(new_redis):
    server = new_redis("--user", "default", "off", "--user", "agents", "on", ">right", "~md:*", "+@all")
    settings = Server(server.socket, "agents", "wrong-password")
    with pytest.raises(StationError, match="refuses user 'agents'") as caught:
        RedisBus(settings).head(STREAM)
    assert "wrong-password" not in str(caught.value) + repr(settings)
    with pytest.raises(StationError, match="permission"):
        RedisBus(Server(server.socket, "agents", "right")).publish([Entry("exec:x", "1-1", b"")])
