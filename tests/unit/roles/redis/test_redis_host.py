# SPDX-License-Identifier: Apache-2.0
"""Which hosts cannot take the event bus."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.redis.filter_plugins.redis_host import FilterModule, host_problems, missing_mib

FOUND: dict[str, Any] = {
    "free_mib": 50_000,
    "ballast_mib": 1024,
    "data_path": "/var/lib/redis-bus",
    "stock": False,
    "ports": None,
}
PORTS = {0: "redis_port", 9121: "redis_exporter_port"}
MIB = st.integers(0, 10**7)


def problems(found: dict[str, Any], ports: dict[int, str] = PORTS) -> list[str]:
    return host_problems(found, "/var/lib/redis-bus", 1024, 512, ports)


def test_a_host_with_room_passes() -> None:
    assert problems(FOUND) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"free_mib": 100}, "disk full on the data volume: /var/lib/redis-bus has 100 MiB free, 412 MiB too few"),
        ({"data_path": "/srv/bus"}, "the events lie in /srv/bus and would be left behind"),
        ({"stock": True}, "systemctl disable --now redis-server.service"),
        ({"ports": {9121: "other (pid 7)"}}, "redis_exporter_port: TCP port 9121 is in use by other (pid 7)"),
    ],
)
def test_a_host_that_cannot_take_them_is_refused_in_one_line(change: dict[str, Any], words: str) -> None:
    (line,) = problems(FOUND | change)
    assert words in line


def test_a_port_in_use_is_named_by_its_variable() -> None:
    (line,) = problems(FOUND | {"ports": {6380: "python3 (pid 9)"}}, {6380: "redis_port"})
    assert line.startswith("redis_port: TCP port 6380 is in use by python3 (pid 9)")


def test_a_bare_host_has_no_data_path_yet() -> None:
    assert problems(FOUND | {"data_path": "", "ballast_mib": 0}) == []


@given(free=MIB, laid=MIB, ballast=MIB, least=MIB)
def test_what_is_missing_is_exactly_what_would_have_to_be_freed(free: int, laid: int, ballast: int, least: int) -> None:
    missing = missing_mib(free=free, laid=laid, ballast=ballast, least=least)
    assert missing >= 0
    left = free + missing - (ballast - laid)
    assert left >= least
    assert missing == 0 or left == least


@given(free=MIB, ballast=MIB, least=MIB)
def test_a_ballast_that_is_already_there_needs_no_space_again(free: int, ballast: int, least: int) -> None:
    assert missing_mib(free=free, laid=ballast, ballast=ballast, least=least) == max(0, least - free)


def test_ansible_finds_the_filters() -> None:
    assert set(FilterModule().filters()) == {"redis_host_problems"}
