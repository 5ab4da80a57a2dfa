"""Feed, agent and recorder as processes over a real bus, with the rights that the role gives them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from station import codec
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.domain.market import Bar
from station.events import Event, HealthEvent, MarketEvent, SignalEvent
from station.journal.checkpoint import Signer
from station.journal.verifier import verify

from fleet.paths import PROJECT

USERS = yaml.safe_load((PROJECT / "roles/redis/defaults/main.yml").read_text())["redis_users"]
SIGNER = Signer("station.example/journal", bytes(range(32)))
BARS = 400
PATIENCE_S = 60


class Station:
    """Three services of one host, each a process of its own."""

    def __init__(self, folder: Path, redis: Path) -> None:
        self.folder, self.redis = folder, redis
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.heard: dict[str, list[str]] = {}
        self._sockets: dict[str, socket.socket] = {}
        for name in ("halt", "journal", "services", "credentials", *NAMES):
            (folder / name).mkdir()
        secrets = {f"redis-{name}": name for name in USERS} | {"journal-key": SIGNER.text(), "questdb-http": "secret"}
        for name, secret in secrets.items():
            (folder / "credentials" / name).write_text(f"{secret}\n")
        for service in self._services():
            path = folder / "services" / f"{service['name']}.yml"
            path.write_text(yaml.safe_dump(service, sort_keys=False))

    def _services(self) -> list[dict[str, Any]]:
        with (self.folder / "bars.csv").open("w") as file:
            file.write("time,open,high,low,close,volume\n")
            for hour in range(1, BARS + 1):
                price = 1000 + (hour % 80 if hour // 80 % 2 == 0 else 80 - hour % 80)
                file.write(f"{hour * 3600},{price},{price},{price},{price},0\n")
        bars = {
            "path": f"{self.folder}/bars.csv",
            "origin": "test",
            "stamped": "close",
            "symbol": "EURUSD",
            "unit": "s",
        }
        feed = {"source": "replay", "symbols": ["EURUSD"], "interval": "1h", "files": [bars], "speed": 200_000}
        agent = {"strategy": {"name": "Momentum", "fast": 3, "slow": 7}, "reads": ["md:replay"], "symbols": ["EURUSD"]}
        # A slow machine must not make answers late here: what is late is tested with a clock of our own.
        times = {"budget_ms": 5000, "deadline_ms": 5000}
        # Port 9 is discard: nobody answers there, as if QuestDB were away.
        journal = {"folder": str(self.folder / "journal"), "questdb": {"address": "127.0.0.1:9"}}
        own: dict[str, dict[str, Any]] = {
            "replay": {"kind": "feed", "stream": "md:replay", "feed": feed},
            "momentum": {"kind": "agent", "stream": "strat:momentum", **agent, **times},
            "recorder": {"kind": "recorder", **journal},
        }
        return [
            {
                **options,
                "name": name,
                "metrics_port": free_port(),
                "halt_folder": str(self.folder / "halt"),
                "state_folder": str(self.folder / name),
                "redis": {
                    "socket": str(self.redis),
                    "user": "journal" if name == "recorder" else "agents",
                    "password_file": "redis-journal" if name == "recorder" else "redis-agents",
                },
            }
            for name, options in own.items()
        ]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "CREDENTIALS_DIRECTORY": str(self.folder / "credentials")}

    def start(self, name: str) -> None:
        """Start a service and wait until it has told systemd that it is ready."""
        address = f"station-{os.getpid()}-{name}-{time.monotonic_ns()}"
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(f"\0{address}")
        receiver.settimeout(PATIENCE_S)
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "station", "run", str(self.folder / "services" / f"{name}.yml")],
            env={**self.environment(), "NOTIFY_SOCKET": f"@{address}"},
            stderr=(self.folder / f"{name}.log").open("a"),
            text=True,
        )
        self._sockets[name] = receiver
        assert receiver.recv(4096).startswith(b"READY=1\n")

    def end(self, name: str) -> int:
        """Stop a service as systemd does and return its exit status."""
        process = self.running.pop(name)
        process.terminate()
        status = process.wait(PATIENCE_S)
        self._sockets.pop(name).close()
        return status

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()
        self._sockets.pop(name).close()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "station", *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def published(self, stream: str) -> list[Event]:
        bus = RedisBus(Server(self.redis, "journal", "journal"))
        entries = bus.read(stream, "0-0", 10_000)
        bus.close()
        return [codec.decode(entry.data) for entry in entries]

    def until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < end, "it does not get there"
            assert all(process.poll() is None for process in self.running.values()), "a service ended"
            time.sleep(0.1)


NAMES = ("replay", "momentum", "recorder")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def station(tmp_path: Path, new_redis: Callable[..., Any]) -> Iterator[Station]:
    words: list[str] = []
    for name, rules in USERS.items():
        words += ["--user", name, "on", f">{name}", *rules.split()]
    made = Station(tmp_path, new_redis("--user", "default", "off", *words).socket)
    yield made
    for name in list(made.running):
        made.kill(name)


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
    bus = RedisBus(Server(station.redis, "journal", "journal"))
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
    for name in NAMES:
        station.running[name].send_signal(signal.SIGTERM)
    assert [station.running.pop(name).wait(PATIENCE_S) for name in NAMES] == [0, 0, 0]
    closes = [event.timestamp for event in station.published("md:replay") if isinstance(event, MarketEvent)]
    assert closes == [hour * 3_600_000_000 for hour in range(1, BARS + 1)]
    signals = [event for event in station.published("strat:momentum") if isinstance(event, SignalEvent)]
    assert [signal.payload.strength for signal in signals] == [1, -1, 1, -1, 1]
    assert verify(station.folder / "journal", [SIGNER.verifier], {}).ok
