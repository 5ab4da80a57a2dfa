# SPDX-License-Identifier: Apache-2.0
"""What the event bus's preflight refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.redis.filter_plugins.redis_settings import (
    FilterModule,
    cpu_numbers,
    host_problems,
    missing_mib,
    settings_problems,
)

GOOD: dict[str, Any] = {
    "redis_group": "tradebus",
    "redis_socket": "/run/redis-bus/redis.sock",
    "redis_port": 0,
    "redis_data_path": "/var/lib/redis-bus",
    "redis_ballast_mib": 1024,
    "redis_min_free_mib": 512,
    "redis_maxmemory_mib": 8192,
    "redis_cpus": "2-3",
    "redis_background_cpus": "8,9",
    "redis_exporter_port": 9121,
}
FOUND: dict[str, Any] = {
    "free_mib": 50_000,
    "ballast_mib": 1024,
    "data_path": "/var/lib/redis-bus",
    "stock": False,
    "ports": None,
}
MIB = st.integers(0, 10**7)


def test_good_settings_pass() -> None:
    assert settings_problems(GOOD, memory_gib=160) == []
    assert host_problems(FOUND, GOOD) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"redis_maxmemory_mib": 160 * 1024 + 1}, "more than the host's 163840 MiB (hardware.memory_gib)"),
        ({"redis_maxmemory_mib": 0}, "means no limit to Redis"),
        ({"redis_group": ""}, "'' is no group name"),
        ({"redis_group": "trade bus"}, "no group name"),
        ({"redis_socket": "/tmp/redis.sock"}, "not a file in /run/redis-bus/"),
        ({"redis_socket": "/run/redis-bus/deeper/redis.sock"}, "not a file in /run/redis-bus/"),
        ({"redis_socket": "/run/redis-bus/"}, "not a file in /run/redis-bus/"),
        ({"redis_data_path": "bus"}, "not a plain absolute path"),
        ({"redis_data_path": "/srv/../etc"}, "not a plain absolute path"),
        ({"redis_data_path": "/srv/my bus"}, "not a plain absolute path"),
        ({"redis_data_path": "/home/ops/bus"}, "hidden from the unit or lost at boot"),
        ({"redis_data_path": "/tmp"}, "hidden from the unit or lost at boot"),
        ({"redis_ballast_mib": 100}, "would not bring back the 512 MiB"),
        ({"redis_min_free_mib": 0}, "redis_min_free_mib more than 0"),
        ({"redis_background_cpus": "3-8"}, "CPU 3 is in redis_cpus too"),
    ],
)
def test_a_bad_setting_is_refused_in_one_line_that_names_it(change: dict[str, Any], words: str) -> None:
    (line,) = settings_problems(GOOD | change, memory_gib=160)
    assert words in line
    assert line.startswith(next(iter(change))) or "redis_min_free_mib" in change
    assert "\n" not in line


def test_no_ballast_is_a_choice() -> None:
    assert settings_problems(GOOD | {"redis_ballast_mib": 0}, memory_gib=160) == []


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
    (line,) = host_problems(FOUND | change, GOOD)
    assert words in line


def test_a_port_in_use_is_named_by_its_variable() -> None:
    (line,) = host_problems(FOUND | {"ports": {6380: "python3 (pid 9)"}}, GOOD | {"redis_port": 6380})
    assert line.startswith("redis_port: TCP port 6380 is in use by python3 (pid 9)")


def test_a_bare_host_has_no_data_path_yet() -> None:
    assert host_problems(FOUND | {"data_path": "", "ballast_mib": 0}, GOOD) == []


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


@given(st.sets(st.integers(0, 255), max_size=40))
def test_a_cpu_list_names_its_cpus(cpus: set[int]) -> None:
    assert cpu_numbers(",".join(str(cpu) for cpu in sorted(cpus))) == cpus


def test_a_range_includes_both_ends() -> None:
    assert cpu_numbers("2-5,8") == {2, 3, 4, 5, 8}


def test_ansible_finds_the_filters() -> None:
    assert set(FilterModule().filters()) == {"redis_settings_problems", "redis_host_problems"}
