# SPDX-License-Identifier: Apache-2.0
"""The real bars, from their file through the feed service and the real producer onto a bus, also after a restart."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from pathlib import Path

from station import codec
from station.bus.memory import MemoryBus
from station.bus.producer import Producer
from station.events import HealthEvent, MarketEvent
from station.feeds.files import read
from station.feeds.intervals import HOUR
from station.feeds.quality import Inspector
from station.feeds.replay import Recording, Replay
from station.feeds.service import FeedService, Parts
from station.retry import Patience

from tests.unit.services.feeds.feeds_kit import ManualClock, Notes
from tests.unit.services.feeds.test_feed_files import EURUSD, sample

STREAM = "md:replay"


def play(bus: MemoryBus, state: Path, known: dict[str, int]) -> Notes:
    """Run the service until all is played."""
    clock, notes = ManualClock(), Notes()
    producer = Producer(bus, STREAM, "replay", Patience(clock, lambda: False), state)
    producer.start()
    recording = Recording("replay", ("EURUSD",), HOUR, (partial(read, sample("EURUSD.csv"), EURUSD),))
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


def test_all_real_bars_are_on_the_bus_once_also_after_a_restart(tmp_path: Path):
    bus, bars = MemoryBus(), list(read(sample("EURUSD.csv"), EURUSD))
    notes = play(bus, tmp_path / "producer", {})
    events = market_events(bus)
    assert [(event.timestamp, event.available, event.payload) for event in events] == [
        (one.close, one.available, one.bar) for one in bars
    ]
    assert [event.sequence for event in events] == list(range(2, 5002))
    assert notes == []
    again = play(bus, tmp_path / "producer", {"EURUSD": bars[2999].close})
    assert [event.timestamp for event in market_events(bus)[5000:]] == [one.close for one in bars[3000:]]
    assert set(again.kinds) == {"old"}
