# SPDX-License-Identifier: Apache-2.0
"""A service in memory: its bus, its clock and what systemd would hear."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from station import codec
from station.bus.alarms import Alarms
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Bus, Entry, GroupState
from station.config import AgentService, FeedService
from station.config.agents import MomentumOptions
from station.config.feeds import BarFile, ReplayFeed
from station.domain.market import Bar
from station.errors import Unavailable
from station.events import Event, HealthEvent, MarketEvent, SignalEvent
from station.halt import Latch
from station.metrics import Metrics
from station.notify import Notifier
from station.runtime.work import Surroundings

HOUR = 3_600_000_000
SECOND_NS = 1_000_000_000
FEED_RUN = 5


@dataclass
class Hands:
    """A clock that moves when it is asked to wait."""

    ns: int = 1_000 * SECOND_NS

    def now(self) -> int:
        return 1_760_000_000_000_000 + self.ns // 1000

    def monotonic_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND_NS)


class Heard(Notifier):
    """Notes what systemd is told."""

    def __init__(self) -> None:
        super().__init__(None)
        self.words: list[str] = []

    def _send(self, *states: str) -> None:
        self.words.append(states[0])


class Moody(MemoryBus):
    """A bus that can go away, and at which nobody waits."""

    away = False

    def publish(self, entries: Sequence[Entry], acknowledge: Sequence[Entry] = (), group: str = "") -> None:
        self._answer()
        super().publish(entries, acknowledge, group)

    def consume(self, streams: Sequence[str], group: str, consumer: str, count: int, wait_ms: int = 0) -> list[Entry]:
        self._answer()
        return super().consume(streams, group, consumer, count, wait_ms=0 * wait_ms)  # nobody waits in a test

    def groups(self, stream: str) -> list[GroupState]:
        self._answer()
        return super().groups(stream)

    def _answer(self) -> None:
        if Moody.away:
            raise Unavailable("away")


@dataclass
class Host:
    """What outlives a service: streams, folders, clock."""

    folder: Path
    streams: Streams = field(default_factory=Streams)
    clock: Hands = field(default_factory=Hands)

    def __post_init__(self) -> None:
        (self.folder / "halt").mkdir(exist_ok=True)

    @property
    def latch(self) -> Latch:
        return Latch(self.folder / "halt")

    def around(self) -> Surroundings:
        """Return the surroundings of one more process."""

        def connect(raise_alarm: Alarms) -> Bus:
            return Moody(self.streams, self.clock, raise_alarm=raise_alarm)

        return Surroundings(self.clock, connect, self.folder, self.latch, Metrics(), threading.Event())

    def market(self, closes: list[Decimal], first: int = 1, symbol: str = "EURUSD") -> None:
        """Publish bars as the feed `replay` does."""
        bus = MemoryBus(self.streams)
        for number, close in enumerate(closes, first):
            event = MarketEvent(
                agent_id="replay",
                run=FEED_RUN,
                sequence=number,
                timestamp=number * HOUR,
                available=number * HOUR,
                payload=Bar(
                    symbol=symbol,
                    interval=HOUR,
                    open=close,
                    high=close,
                    low=close,
                    close=close,
                    volume=Decimal(0),
                    source="test",
                ),
            )
            bus.publish([Entry("md:replay", event.entry_id, codec.encode(event))])

    def published(self, stream: str) -> list[Event]:
        """Return every event of a stream."""
        return [codec.decode(entry.data) for entry in MemoryBus(self.streams).read(stream, "0-0", 100_000)]

    def signals(self, stream: str = "strat:momentum") -> list[SignalEvent]:
        return [event for event in self.published(stream) if isinstance(event, SignalEvent)]

    def bars(self, stream: str = "md:replay") -> list[MarketEvent]:
        return [event for event in self.published(stream) if isinstance(event, MarketEvent)]

    def health(self, stream: str = "strat:momentum") -> list[str]:
        return [event.payload.state for event in self.published(stream) if isinstance(event, HealthEvent)]


def agent_service(folder: Path, fast: int = 3, slow: int = 7, **changes: object) -> AgentService:
    (folder / "momentum").mkdir(exist_ok=True)
    plain = {
        "kind": "agent",
        "name": "momentum",
        "stream": "strat:momentum",
        "metrics_port": 9202,
        "strategy": MomentumOptions(name="Momentum", fast=fast, slow=slow),
        "reads": ("md:replay",),
        "symbols": ("EURUSD",),
        "state_folder": str(folder / "momentum"),
    }
    return AgentService(**(plain | changes))  # type: ignore[arg-type]


def feed_service(folder: Path, closes: list[Decimal], **changes: object) -> FeedService:
    """Return a replay of hourly bars, as fast as they are taken."""
    (folder / "replay").mkdir(exist_ok=True)
    bars = folder / "bars.csv"
    lines = [f"{number * 3600},{close},{close},{close},{close},0" for number, close in enumerate(closes, start=1)]
    bars.write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n")
    file = BarFile(path=str(bars), origin="test", stamped="close", symbol="EURUSD", unit="s")
    feed = {"source": "replay", "symbols": ("EURUSD",), "interval": "1h", "files": (file,), "speed": Decimal(0)}
    plain = {
        "kind": "feed",
        "name": "replay",
        "stream": "md:replay",
        "metrics_port": 9201,
        "state_folder": str(folder / "replay"),
    }
    options = {key: changes.pop(key) for key in ("backlog", "speed") if key in changes}
    return FeedService(**(plain | {"feed": ReplayFeed(**(feed | options))} | changes))  # type: ignore[arg-type]


def swing(length: int = 30, turns: int = 4) -> list[Decimal]:
    """Return closes that rise and fall in turn."""
    steps: Iterator[int] = itertools.chain.from_iterable(
        itertools.repeat(1 if turn % 2 == 0 else -1, length) for turn in range(turns)
    )
    return [Decimal(1000 + total) for total in itertools.accumulate(steps)]
