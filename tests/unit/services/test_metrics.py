# SPDX-License-Identifier: Apache-2.0
"""What Prometheus reads of a service."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from station.errors import StationError
from station.metrics import Metrics


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_figures_are_served_on_loopback_under_names_of_our_own() -> None:
    metrics, port = Metrics(), free_port()
    metrics.published.inc(3)
    metrics.late.inc()
    end = metrics.serve(port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    finally:
        end()
    assert "station_events_published_total 3.0" in lines
    assert "station_events_late_total 1.0" in lines
    assert all(line.startswith(("#", "station_")) for line in lines)


def test_two_processes_in_one_test_run_do_not_share_figures() -> None:
    one, other = Metrics(), Metrics()
    one.late.inc()
    assert other.registry.get_sample_value("station_events_late_total") == 0


def test_the_kill_switch_is_asked_at_the_moment_of_the_scrape() -> None:
    metrics, engaged = Metrics(), [False]
    metrics.watch_halt(lambda: engaged[0])
    assert metrics.registry.get_sample_value("station_halted") == 0
    engaged[0] = True
    assert metrics.registry.get_sample_value("station_halted") == 1


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StationError, match=f"metrics_port: 127.0.0.1:{port}: .*free port"):
            Metrics().serve(port)
