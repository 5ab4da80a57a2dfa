# SPDX-License-Identifier: Apache-2.0
"""What the role redis refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.roles.rules_kit import lines, refusals

PASSWORDS = dict.fromkeys(["admin", "agents", "journal", "developer", "tournament", "oversight", "exporter"], "x" * 24)


@pytest.fixture
def good() -> dict[str, Any]:
    return {"redis_passwords": PASSWORDS, "redis_min_free_mib": 512, "redis_ballast_mib": 1024}


def test_good_settings_pass(good: dict[str, Any]) -> None:
    assert lines("redis", **good) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"redis_maxmemory_mib": 160 * 1024 + 1}, "more than the host's 163840 MiB (hardware.memory_gib)"),
        ({"redis_maxmemory_mib": 0}, "means no limit to Redis"),
        ({"redis_group": ""}, "'' is no name of an account"),
        ({"redis_group": "trade bus"}, "no name of an account"),
        ({"redis_group": "root"}, "would keep nobody out"),
        ({"redis_port": 22}, "22 is no port that its unit may open"),
        ({"redis_port": 65536}, "65536 is no port"),
        ({"redis_exporter_port": 0}, "0 is no port"),
        ({"redis_bind": ["0.0.0.0"], "redis_port": 6380}, "no address of one interface"),
        ({"redis_bind": ["localhost"], "redis_port": 6380}, "no address of one interface"),
        ({"redis_save": "often"}, "no snapshot rule"),
        ({"redis_save": "3600"}, "no snapshot rule"),
        ({"redis_acllog_entries": -1}, "less than nothing"),
        ({"redis_aof_rewrite_percentage": -5}, "less than nothing"),
        ({"redis_socket": "/tmp/redis.sock"}, "not a file in /run/redis-bus/"),
        ({"redis_socket": "/run/redis-bus/deeper/redis.sock"}, "not a file in /run/redis-bus/"),
        ({"redis_socket": "/run/redis-bus/"}, "not a file in /run/redis-bus/"),
        ({"redis_data_path": "bus"}, "not a plain absolute path"),
        ({"redis_data_path": "/srv/../etc"}, "not a plain absolute path"),
        ({"redis_data_path": "/srv/my bus"}, "not a plain absolute path"),
        ({"redis_data_path": "/home/ops/bus"}, "hidden from the unit or lost at boot"),
        ({"redis_data_path": "/tmp"}, "hidden from the unit or lost at boot"),
        ({"redis_ballast_mib": 100}, "would not bring back the 512 MiB"),
        ({"redis_ballast_mib": -1}, "less than nothing"),
        ({"redis_min_free_mib": 0}, "guards nothing"),
        ({"redis_background_cpus": "3-8", "redis_cpus": "2-3"}, "CPU 3 is in redis_cpus too"),
        ({"redis_users": {"admin": "~* &* +@all"}}, "user exporter is missing"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(good: dict[str, Any], change: dict[str, Any], words: str) -> None:
    found = [line for line in refusals("redis", **good | change) if not line.key.startswith("redis_passwords.")]
    (refusal,) = found
    assert words in refusal.wrong
    assert refusal.variable == next(iter(change))
    assert refusal.right


def test_snapshots_and_a_port_on_an_interface_are_a_choice(good: dict[str, Any]) -> None:
    changes = {"redis_save": "3600 1 300 100", "redis_port": 6380, "redis_bind": ["127.0.0.1", "::1"]}
    assert lines("redis", **good | changes) == []


def test_no_ballast_is_a_choice(good: dict[str, Any]) -> None:
    assert lines("redis", **good | {"redis_ballast_mib": 0}) == []


def test_a_value_of_another_type_is_left_to_the_specification(good: dict[str, Any]) -> None:
    assert lines("redis", **good | {"redis_maxmemory_mib": "plenty"}) == []


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "is no password"),
        (None, "is no password"),
        ("x" * 19, "19 characters, 20 are the least"),
        ("x" * 20 + " ", "blank, quote"),
        ("x" * 20 + '"', "blank, quote"),
        ("x" * 20 + "\\", "blank, quote"),
        ("x" * 20 + "\u00e9", "outside ASCII"),
    ],
)
def test_a_password_that_cannot_be_used_is_named_with_its_remedy(
    good: dict[str, Any], password: str | None, words: str
) -> None:
    (line,) = lines("redis", **good | {"redis_passwords": {**PASSWORDS, "agents": password}})
    assert line.startswith("redis_passwords.agents: ")
    assert words in line
    assert "vault_redis_agents" in line


@given(st.text(min_size=1, max_size=40))
def test_no_message_carries_a_password(password: str) -> None:
    secret = f"hunter2{password}"
    found = lines("redis", redis_passwords=PASSWORDS | {"agents": secret})
    assert not [line for line in found if secret in line]


@pytest.mark.parametrize("rule", ["nopass", "NOPASS", ">secret", "<secret", "#abc", "!abc", "on", "off", "reset"])
def test_rules_set_no_password_and_no_state(good: dict[str, Any], rule: str) -> None:
    users = dict.fromkeys(PASSWORDS, "+ping") | {"agents": f"~md:* {rule} +xadd"}
    (line,) = lines("redis", **good | {"redis_users": users})
    assert line.startswith("redis_users.agents: ")
    assert "secret" not in line


@pytest.mark.parametrize("name", ["default", "two words", "", "new\nline"])
def test_a_name_that_would_break_the_access_list_is_refused(good: dict[str, Any], name: str) -> None:
    users, passwords = dict.fromkeys([*PASSWORDS, name], "+ping"), PASSWORDS | {name: "x" * 24}
    (refusal,) = refusals("redis", **good | {"redis_users": users, "redis_passwords": passwords})
    assert refusal.wrong == "cannot be a user's name"


def test_a_password_without_a_user_is_named(good: dict[str, Any]) -> None:
    (line,) = lines("redis", **good | {"redis_passwords": PASSWORDS | {"zoe": "x" * 24}})
    assert line.startswith("redis_passwords.zoe: is no user of redis_users")
