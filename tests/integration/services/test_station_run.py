# SPDX-License-Identifier: Apache-2.0
"""Feed, agent and recorder as processes over a real bus, with the rights that the role gives them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from station import codec
from station.bus.redis_stream import RedisBus
from station.domain.market import Bar
from station.events import Event, HealthEvent, MarketEvent, SignalEvent
from station.journal.checkpoint import Signer
from station.journal.verifier import verify

from tests.servers import redis, services
from tests.servers.process import until
from tests.servers.redis import Redis

SIGNER = Signer("station.example/journal", bytes(range(32)))
BARS = 400
NAMES = ("replay", "momentum", "recorder")


class Station(services.Station):
    """Three services of one host, and what a test wants to know of them."""

    def __init__(self, folder: Path, server: Redis) -> None:
        self.server = server
        super().__init__(folder, server.socket, wanted(folder), SIGNER.text())

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "station", *words],
            env={**os.environ, "CREDENTIALS_DIRECTORY": str(self.folder / "credentials")},
            capture_output=True,
            text=True,
            check=False,
        )

    def published(self, stream: str) -> list[Event]:
        bus = RedisBus(self.server.server("journal"))
        entries = bus.read(stream, "0-0", 10_000)
        bus.close()
        return [codec.decode(entry.data) for entry in entries]

    def until(self, reached: Callable[[], bool]) -> None:
        until(reached, "it gets there", alive=lambda: all(service.alive() for service in self.services.values()))


def wanted(folder: Path) -> list[dict[str, Any]]:
    with (folder / "bars.csv").open("w") as file:
        file.write("time,open,high,low,close,volume\n")
        for hour in range(1, BARS + 1):
            price = 1000 + (hour % 80 if hour // 80 % 2 == 0 else 80 - hour % 80)
            file.write(f"{hour * 3600},{price},{price},{price},{price},0\n")
    bars = {"path": f"{folder}/bars.csv", "origin": "test", "stamped": "close", "symbol": "EURUSD", "unit": "s"}
    feed = {"source": "replay", "symbols": ["EURUSD"], "interval": "1h", "files": [bars], "speed": 200_000}
    agent = {"strategy": {"name": "Momentum", "fast": 3, "slow": 7}, "reads": ["md:replay"], "symbols": ["EURUSD"]}
    # A slow machine must not make answers late here: what is late is tested with a clock of our own.
    times = {"budget_ms": 5000, "deadline_ms": 5000}
    # Port 9 is discard: nobody answers there, as if QuestDB were away.
    journal = {"folder": str(folder / "journal"), "questdb": {"address": "127.0.0.1:9"}}
    return [
        {"name": "replay", "kind": "feed", "stream": "md:replay", "feed": feed},
        {"name": "momentum", "kind": "agent", "stream": "strat:momentum", **agent, **times},
        {"name": "recorder", "kind": "recorder", **journal},
    ]


@pytest.fixture
def station(tmp_path: Path, new_redis: Callable[..., Redis]) -> Iterator[Station]:
    made = Station(tmp_path, new_redis(*redis.access()))
    yield made
    made.close()


def bars(station: Station) -> list[Bar]:
    return [event.payload for event in station.published("md:replay") if isinstance(event, MarketEvent)]


def recorded(station: Station) -> int:
    return verify(station.folder / "journal", [SIGNER.verifier], {}).checked


def test_bars_flow_through_and_a_killed_agent_says_what_it_would_have_said(station: Station) -> None:
    assert station.command("config", "check", str(station.folder / "services")).returncode == 0
    for name in NAMES:
        station.start(name)
    station.until(lambda: len(bars(station)) > 100)
    station.kill("momentum")
    station.start("momentum")
    station.until(lambda: len(bars(station)) == BARS)
    seen = station.command("status", "--json", "--seconds", "0.2", "--services", str(station.folder / "services"))
    streams = {stream["name"]: stream for stream in json.loads(seen.stdout)}
    assert set(streams) == {"md:replay", "strat:momentum"}
    assert {group["name"] for group in streams["md:replay"]["groups"]} == {"momentum", "journal"}
    station.until(lambda: all(state.lag == 0 and state.pending == 0 for state in groups(station, "momentum")))
    assert [station.end(name) for name in NAMES] == [0, 0, 0]

    signals = [event for event in station.published("strat:momentum") if isinstance(event, SignalEvent)]
    told = [signal.payload.strength for signal in signals]
    # One a turn of the market, and none twice.
    assert told == [1, -1, 1, -1, 1][: len(told)]
    assert len(told) == 5
    states = [event.payload.state for event in station.published("strat:momentum") if isinstance(event, HealthEvent)]
    assert (states[0], states[-1], states.count("started")) == ("started", "stopping", 2)
    verdict = verify(station.folder / "journal", [SIGNER.verifier], {})
    assert verdict.ok
    # Every event, and the note that the journal began.
    everything = len(station.published("md:replay")) + len(station.published("strat:momentum"))
    assert verdict.signed == verdict.checked == everything + 1


def groups(station: Station, name: str) -> list[Any]:
    bus = RedisBus(station.server.server("journal"))
    found = [state for state in bus.groups("md:replay") if state.group == name]
    bus.close()
    return found


def test_each_of_them_may_be_killed_at_any_time_and_nothing_is_lost_or_twice(station: Station) -> None:
    for name in NAMES:
        station.start(name)
    for name in (*NAMES, *NAMES):
        before = len(bars(station))
        station.until(lambda before=before: len(bars(station)) > min(before + 10, BARS - 1))  # type: ignore[misc]
        station.kill(name)
        station.start(name)
    station.until(lambda: len(bars(station)) == BARS)
    everything = ("md:replay", "strat:momentum")
    station.until(lambda: recorded(station) > sum(len(station.published(stream)) for stream in everything))
    assert [station.end(name) for name in NAMES] == [0, 0, 0]
    closes = [event.timestamp for event in station.published("md:replay") if isinstance(event, MarketEvent)]
    assert closes == [hour * 3_600_000_000 for hour in range(1, BARS + 1)]
    signals = [event for event in station.published("strat:momentum") if isinstance(event, SignalEvent)]
    assert [signal.payload.strength for signal in signals] == [1, -1, 1, -1, 1]
    assert verify(station.folder / "journal", [SIGNER.verifier], {}).ok
