# SPDX-License-Identifier: Apache-2.0
"""A feed from its start to its end, and again."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from station.bus.memory import MemoryBus
from station.config import FeedService
from station.errors import StationError
from station.runtime.feed import FeedWork

from tests.unit.services.runtime.station_kit import HOUR, Host, feed_service

CLOSES = [Decimal(100 + number % 7) for number in range(1200)]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def started(host: Host, service: FeedService) -> FeedWork:
    work = FeedWork(service, host.around())
    work.start()
    return work


def test_every_bar_is_published_once_and_in_order(host: Host) -> None:
    work = started(host, feed_service(host.folder, CLOSES))
    assert work.ready()
    while work.step():
        pass
    bars = host.bars()
    assert [bar.timestamp for bar in bars] == [number * HOUR for number in range(1, 1201)]
    assert [bar.payload.close for bar in bars] == CLOSES
    assert host.health("md:replay")[:2] == ["started", "ready"]


def test_after_the_last_bar_it_stays_and_says_so(host: Host) -> None:
    work = started(host, feed_service(host.folder, CLOSES[:3]))
    while work.step():
        pass
    assert work.heartbeat() == 1
    last = host.published("md:replay")[-1]
    assert (last.payload.state, last.payload.progress, last.payload.detail) == ("progress", 3, "ended")  # type: ignore[union-attr]


@settings(max_examples=8)
@given(st.lists(st.integers(0, 3), max_size=4))
def test_however_often_it_is_started_each_bar_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    host = Host(tmp_path_factory.mktemp("host"))
    service = feed_service(host.folder, CLOSES)
    for count in [*steps, 3]:
        work = started(host, service)
        for _ in range(count):
            work.step()
        work.close()
    assert [bar.timestamp for bar in host.bars()] == [number * HOUR for number in range(1, 1201)]


def test_the_past_waits_for_its_readers(host: Host) -> None:
    service = feed_service(host.folder, CLOSES, backlog=600)
    MemoryBus(host.streams).consume(["md:replay"], "journal", "recorder", 1)
    work = started(host, service)
    for _ in range(20):
        work.step()
    assert len(host.bars()) == 1000
    reader = MemoryBus(host.streams)
    reader.acknowledge("journal", reader.consume(["md:replay"], "journal", "recorder", 2000))
    work.step()
    assert len(host.bars()) == 1200


def test_a_bar_carries_the_moment_until_which_an_order_may_follow(host: Host) -> None:
    work = started(host, feed_service(host.folder, CLOSES[:1], deadline_ms=50))
    work.step()
    assert host.bars()[0].deadline_ns == host.clock.monotonic_ns() + 50_000_000


def test_a_bar_of_the_past_has_no_deadline(host: Host) -> None:
    work = started(host, feed_service(host.folder, CLOSES[:1]))
    work.step()
    assert host.bars()[0].deadline_ns is None


def test_a_second_process_of_the_same_name_refuses_to_start(host: Host) -> None:
    service = feed_service(host.folder, CLOSES)
    started(host, service)
    with pytest.raises(StationError, match="another process publishes as this service"):
        started(host, service)


def test_a_file_that_is_not_there_ends_it_with_a_line_for_a_person(host: Host) -> None:
    service = feed_service(host.folder, CLOSES)
    (host.folder / "bars.csv").unlink()
    with pytest.raises(StationError, match=r"bars\.csv"):
        started(host, service).step()
