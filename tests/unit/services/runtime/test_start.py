# SPDX-License-Identifier: Apache-2.0
"""From a file to a process that systemd can start, watch and stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import structlog
import yaml
from station.errors import StationError
from station.runtime import start
from station.runtime.agent import AgentWork
from station.runtime.work import credentials_folder

from tests.unit.services.runtime.station_kit import Heard, Host, Moody, agent_service, feed_service, swing


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(Moody, "away", False)
    return Host(tmp_path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish_and_end_well(host: Host, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    host.market(swing(turns=1))
    step = AgentWork.step

    def step_and_be_told_to_end(work: AgentWork) -> int:
        # The first turn is a careful one, of one entry.
        if work._worker.counts.handled:
            os.kill(os.getpid(), number)
        return step(work)

    monkeypatch.setattr(AgentWork, "step", step_and_be_told_to_end)
    before, heard = signal.getsignal(number), Heard()
    service = agent_service(host.folder, metrics_port=free_port())
    assert start.supervise(service, host.around(), heard) == 0
    assert signal.getsignal(number) is before
    assert host.health() == ["started", "ready", "stopping"]
    assert heard.words[-1] == "STOPPING=1"
    assert len(host.signals()) == 1
    assert not host.streams.get("md:replay").groups["momentum"].pending


def test_a_signal_in_the_middle_of_a_wait_for_the_end_is_heard() -> None:
    # In a process of its own: a handler that set the event itself would wait for ever.
    script = """
import signal, threading
from station.runtime.start import _Signals
stop = threading.Event()
with _Signals(stop):
    with stop._cond:
        signal.raise_signal(signal.SIGTERM)
    print(stop.wait(20))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.stdout == "True\n", done.stderr


def test_its_figures_are_served_while_it_runs_and_no_longer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    port, seen = free_port(), []
    around = host.around()

    def look(_: AgentWork) -> int:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            seen.append(True)
        around.stop.set()
        return 0

    monkeypatch.setattr(AgentWork, "step", look)
    start.supervise(agent_service(host.folder, metrics_port=port), around, Heard())
    assert seen == [True]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_each_kind_of_service_has_its_work(host: Host) -> None:
    around = host.around()
    assert type(start.work_of(agent_service(host.folder), around)).__name__ == "AgentWork"
    assert type(start.work_of(feed_service(host.folder, swing()), around)).__name__ == "FeedWork"


def test_credentials_are_where_systemd_says() -> None:
    assert credentials_folder({"CREDENTIALS_DIRECTORY": "/run/credentials/x"}) == Path("/run/credentials/x")
    with pytest.raises(StationError, match="start the service by its unit"):
        credentials_folder({})


def process(tmp_path: Path, **changes: object) -> subprocess.Popen[str]:
    """Start a service for which there is no bus."""
    (tmp_path / "state").mkdir()
    (tmp_path / "redis-agents").write_text("secret\n")
    service = {
        "kind": "agent",
        "name": "momentum",
        "stream": "strat:momentum",
        "metrics_port": free_port(),
        "strategy": {"name": "Momentum"},
        "reads": ["md:replay"],
        "symbols": ["EURUSD"],
        "state_folder": str(tmp_path / "state"),
        "halt_folder": str(tmp_path / "halt"),
        "redis": {"socket": str(tmp_path / "redis.sock")},
    }
    (tmp_path / "momentum.yml").write_text(yaml.safe_dump(service | changes))
    return subprocess.Popen(
        [sys.executable, "-m", "station", "run", str(tmp_path / "momentum.yml")],
        env={**os.environ, "CREDENTIALS_DIRECTORY": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_a_person_has_to_mend_ends_it_with_status_2_and_one_line_of_log(tmp_path: Path) -> None:
    done = process(tmp_path, redis={"password_file": "nobody"})
    _, said = done.communicate(timeout=60)
    lines = [json.loads(line) for line in said.splitlines()]
    assert done.returncode == 2
    assert lines[-1]["level"] == "critical"
    assert "nobody" in lines[-1]["reason"]
    assert "Traceback" not in said


def test_a_mistake_in_its_file_ends_it_with_status_2(tmp_path: Path) -> None:
    done = process(tmp_path, watchdogs=3)
    _, said = done.communicate(timeout=60)
    assert done.returncode == 2
    assert 'watchdogs: unknown key; did you mean "watchdog_s"?' in said
    assert "Traceback" not in said


def test_without_a_bus_it_waits_until_it_is_told_to_end(tmp_path: Path) -> None:
    port = free_port()
    running = process(tmp_path, metrics_port=port)
    try:
        while not answers(port):
            assert running.poll() is None
            time.sleep(0.05)
        running.terminate()
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["event"] for line in lines] == ["orders are denied", "ended before everything was finished", "ended"]


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except ConnectionRefusedError:
        return False


def test_a_missing_kill_switch_is_said_at_the_start(host: Host) -> None:
    (host.folder / "halt").rmdir()
    around = host.around()
    around.stop.set()
    with structlog.testing.capture_logs() as lines:
        start.supervise(agent_service(host.folder, metrics_port=free_port()), around, Heard())
    assert lines[0]["event"] == "orders are denied"
    assert "cannot be read" in lines[0]["reason"]
