# SPDX-License-Identifier: Apache-2.0
"""Thousands of bars, from a file through the feed service and the real producer onto a bus, also after a restart."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from pathlib import Path

import pytest
from station import codec
from station.bus.memory import MemoryBus
from station.bus.producer import Producer
from station.events import HealthEvent, MarketEvent
from station.feeds.files import Layout, read
from station.feeds.intervals import HOUR
from station.feeds.quality import Inspector
from station.feeds.replay import Recording, Replay
from station.feeds.service import FeedService, Parts
from station.retry import Patience

from tests.unit.services.feeds.feeds_kit import ManualClock, Notes

STREAM = "md:replay"
LAYOUT = Layout(HOUR, "test", "close", symbol="EURUSD", unit="s")
COUNT = 5000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bars.csv"
    prices = [100 + hour % 7 for hour in range(COUNT)]
    rows = "".join(f"{hour * 3600},{price},{price},{price},{price},1\n" for hour, price in enumerate(prices, 1))
    path.write_text(f"time,open,high,low,close,volume\n{rows}")
    return path


def play(file: Path, bus: MemoryBus, state: Path, known: dict[str, int]) -> Notes:
    """Run the service until all is played."""
    clock, notes = ManualClock(), Notes()
    producer = Producer(bus, STREAM, "replay", Patience(clock, lambda: False), state)
    producer.start()
    recording = Recording("replay", ("EURUSD",), HOUR, (partial(read, file, LAYOUT),))
    parts = Parts(
        feed=Replay(recording, clock),
        publisher=producer,
        clock=clock,
        inspector=Inspector(HOUR, sessions=None),
        filler=None,
        watchdog=None,
        waits=lambda: repeat(0.0),
        tell=lambda *_: None,
        notify=notes.append,
        largest_backlog=1000,
    )
    FeedService(parts, known).run()
    producer.close()
    return notes


def market_events(bus: MemoryBus) -> list[MarketEvent]:
    events = [codec.decode(entry.data) for entry in bus.read(STREAM, "0-0", 20_000)]
    assert all(isinstance(event, MarketEvent | HealthEvent) for event in events)
    return [event for event in events if isinstance(event, MarketEvent)]


def test_all_bars_are_on_the_bus_once_also_after_a_restart(file: Path, tmp_path: Path):
    bus, bars = MemoryBus(), list(read(file, LAYOUT))
    notes = play(file, bus, tmp_path / "producer", {})
    events = market_events(bus)
    assert [(event.timestamp, event.available, event.payload) for event in events] == [
        (one.closed_at, one.available, one.bar) for one in bars
    ]
    assert [event.sequence for event in events] == list(range(2, COUNT + 2))
    assert notes == []
    again = play(file, bus, tmp_path / "producer", {"EURUSD": bars[2999].closed_at})
    assert [event.timestamp for event in market_events(bus)[COUNT:]] == [one.closed_at for one in bars[3000:]]
    assert set(again.kinds) == {"old"}
