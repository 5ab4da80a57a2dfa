# SPDX-License-Identifier: Apache-2.0
"""Looking at a stream on its way, and looking for the rate that holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry

from tests.performance.bus.events import STREAM
from tests.performance.bus.flow import Run, Sample
from tests.performance.bus.spine import Spine

LACKING = Run(asked=10_000, rate=10_000, unread=0, unstored=9, growth=4_000, costs={}, others=0)


class Recorder:
    """Only heard."""

    def hear(self) -> None: ...


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(Streams())


def spine(bus: Any = None) -> Spine:
    nothing: Any = None
    recorder: Any = Recorder()
    return Spine(bus, nothing, nothing, recorder, nothing)


def publish(bus: MemoryBus, run: int, first: int, last: int) -> None:
    bus.publish([Entry(STREAM, f"{run}-{number}", b"{}") for number in range(first, last + 1)])


def test_what_is_on_its_way_is_what_was_not_read_and_what_was_not_acknowledged(bus: MemoryBus):
    publish(bus, 5, 1, 10)
    given = bus.consume([STREAM], "journal", "recorder", 6)
    bus.acknowledge("journal", given[:2])
    assert spine(bus).look(1.5) == Sample(at_s=1.5, published=10, unread=4, unstored=4)


def test_a_run_after_another_counts_from_one_again(bus: MemoryBus):
    publish(bus, 5, 1, 10)
    bus.acknowledge("journal", bus.consume([STREAM], "journal", "recorder", 100))
    assert spine(bus).look(0).behind == 0
    publish(bus, 6, 1, 3)
    assert spine(bus).look(0) == Sample(at_s=0, published=3, unread=3, unstored=0)


def test_before_the_recorder_has_seen_the_stream_there_is_nothing_to_say(bus: MemoryBus):
    publish(bus, 5, 1, 10)
    assert spine(bus).look(0) == Sample(0, 0, 0, 0)


def search(monkeypatch: pytest.MonkeyPatch, lacking: Run, can: float) -> tuple[Run, list[float]]:
    """Look for the rate that a machine holds, and return it with the rates that were tried."""
    tried: list[float] = []

    def run(_spine: Spine, rate: float, seconds: float, _say: Any) -> Run:
        assert seconds == 30
        tried.append(rate)
        return replace(lacking, asked=rate, rate=rate, growth=max(0.0, rate - can))

    monkeypatch.setattr(Spine, "run", run)
    return spine().search(lacking, 30, lambda _: None), tried


def test_a_rate_that_holds_is_not_searched_for(monkeypatch: pytest.MonkeyPatch):
    holding = replace(LACKING, growth=0)
    assert search(monkeypatch, holding, 10_000) == (holding, [])


def test_the_rate_that_came_through_is_tried_with_a_little_less(monkeypatch: pytest.MonkeyPatch):
    found, tried = search(monkeypatch, LACKING, can=6_000)
    assert tried == [pytest.approx(5_700)]
    assert found.holds


def test_and_again_until_one_holds(monkeypatch: pytest.MonkeyPatch):
    found, tried = search(monkeypatch, LACKING, can=5_000)
    assert found.holds
    assert found.asked < 5_050
    assert tried == sorted(tried, reverse=True)


def test_the_search_has_an_end(monkeypatch: pytest.MonkeyPatch):
    found, _ = search(monkeypatch, LACKING, can=0)
    assert not found.holds
