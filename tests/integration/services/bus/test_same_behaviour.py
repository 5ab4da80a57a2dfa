# SPDX-License-Identifier: Apache-2.0
"""Redis and memory answer alike, whatever is asked in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Bus, Entry
from station.bus.redis_stream import RedisBus
from station.errors import Conflict

STREAMS, GROUPS, CONSUMERS = ("md:a", "md:b"), ("g", "h"), ("x", "y")
NEVER_MS = 3_600_000

streams = st.sampled_from(STREAMS)
groups = st.sampled_from(GROUPS)
consumers = st.sampled_from(CONSUMERS)
numbers = st.integers(1, 4)


def outcome(call: Any) -> Any:
    try:
        return call()
    except Conflict:
        return Conflict


class Both(RuleBasedStateMachine):
    """Asks both the same. A consumer is one connection to each; what it holds is what both have given it."""

    server: Any

    @initialize()
    def begin(self) -> None:
        self.server.client().flushall()
        self.shared = Streams()
        self.pairs: dict[str, tuple[Bus, Bus]] = {
            name: (
                RedisBus(self.server.server(), left_lying_ms=NEVER_MS),
                MemoryBus(self.shared, left_lying_ms=NEVER_MS),
            )
            for name in CONSUMERS
        }
        self.held: dict[tuple[str, str], list[Entry]] = {}

    def connect(self) -> tuple[Bus, Bus]:
        real = RedisBus(self.server.server(), left_lying_ms=NEVER_MS)
        return real, MemoryBus(self.shared, left_lying_ms=NEVER_MS)

    def teardown(self) -> None:
        for pair in self.pairs.values():
            pair[0].close()

    def same(self, name: str, call: Any) -> Any:
        real, model = (outcome(lambda bus=bus: call(bus)) for bus in self.pairs[name])
        assert real == model
        return real

    @rule(name=consumers, stream=streams, first=st.integers(1, 12), count=numbers)
    def publish(self, name: str, stream: str, first: int, count: int) -> None:
        batch = [Entry(stream, f"1-{number}", b"%d" % number) for number in range(first, first + count)]
        self.same(name, lambda bus: bus.publish(batch))

    @rule(name=consumers, group=groups, both=st.booleans(), count=numbers)
    def consume(self, name: str, group: str, both: bool, count: int) -> None:
        asked = STREAMS if both else STREAMS[:1]
        self.held.setdefault((name, group), []).extend(
            self.same(name, lambda bus: bus.consume(asked, group, name, count))
        )

    @rule(name=consumers, group=groups, count=numbers, stream=streams, number=st.integers(1, 20))
    def answer(self, name: str, group: str, count: int, stream: str, number: int) -> None:
        questions = self.held.get((name, group), [])[:count]
        entry = Entry(stream, f"1-{number}", b"answer")
        if self.same(name, lambda bus: bus.publish([entry], questions, group)) is None:
            del self.held.get((name, group), [])[:count]

    @rule(name=consumers, group=groups)
    def bury(self, name: str, group: str) -> None:
        for entry in self.held.get((name, group), [])[:1]:
            self.same(name, lambda bus, poison=entry: bus.dead_letter(group, poison, "why"))
        letters = [bus.dead_letters(group) for bus in self.pairs[name]]
        assert [replace(letter, letter_id="") for letter in letters[0]] == [
            replace(letter, letter_id="") for letter in letters[1]
        ]

    @rule(name=consumers, stream=streams, number=st.integers(1, 20))
    def trim(self, name: str, stream: str, number: int) -> None:
        self.same(name, lambda bus: bus.trim(stream, f"1-{number}"))

    @rule(name=consumers, stream=streams, group=groups)
    def destroy(self, name: str, stream: str, group: str) -> None:
        real = self.pairs[name][0]
        if any(state.group == group for state in real.groups(stream)):
            self.server.client().xgroup_destroy(stream, group)
            self.shared.by_name[stream].groups.pop(group)

    @rule(name=consumers)
    def come_again(self, name: str) -> None:
        for bus in self.pairs[name]:
            bus.close()
        for group in GROUPS:
            self.held.pop((name, group), None)

    @rule(name=consumers, stream=streams)
    def look(self, name: str, stream: str) -> None:
        self.same(name, lambda bus: bus.head(stream))
        self.same(name, lambda bus: bus.read(stream, "1-3", 5))
        self.same(name, lambda bus: sorted((replace(s, lag=None) for s in bus.groups(stream)), key=lambda s: s.group))


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_redis_and_memory_answer_alike(redis_server):
    machine = type("Machine", (Both,), {"server": redis_server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
