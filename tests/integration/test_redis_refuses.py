# SPDX-License-Identifier: Apache-2.0
"""Bad input to the event bus is refused in one line, and the server that runs keeps running with what it had."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleet.paths import LAB_STATE

HOST = "station"
PORT = 9100  # the node exporter's
STATE = (
    "systemctl show --property MainPID --value redis-server@bus.service;"
    " redis-bus ping && echo answers;"
    " cat /etc/redis/redis-bus.conf /etc/credstore/redis-bus* /etc/systemd/system/redis-server@bus.service.d/*"
    " | sha256sum;"
    " stat --format=%s /var/lib/redis-bus/ballast"
)


def on_host(command: str) -> str:
    words = ["ssh", "-F", str(LAB_STATE / "ssh_config"), HOST, f"sudo sh -c '{command}'"]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(autouse=True)
def _one_line_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible prints a failed task's result as JSON on the line that begins with `fatal:`."""
    monkeypatch.setenv("ANSIBLE_CALLBACK_RESULT_FORMAT", "json")


@pytest.fixture(autouse=True)
def the_old_server_is_untouched() -> Iterator[None]:
    before = on_host(STATE)
    assert "answers" in before, "these tests need a running bus: playbooks/data.yml first"
    yield
    assert on_host(STATE) == before


def messages(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("fatal:")]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"redis_maxmemory_mib": 10_000_000, "redis_group": "", "redis_data_path": "/home/ops/bus"},
            [
                "redis_maxmemory_mib: 10000000 MiB is more than the host",
                "redis_group: '' is no name of an account",
                "redis_data_path: /home/ops/bus is hidden",
            ],
        ),
        ({"redis_appendfsync": "sometimes"}, ["value of redis_appendfsync must be one of: always, everysec, no"]),
        (
            {"redis_passwords": {"admin": "", "agents": "tooshort"}},
            [
                "redis_passwords.admin: is no password; set vault_redis_admin",
                "redis_passwords.agents: has 8 characters, 20 are the least",
                "redis_passwords.journal: is no password",
            ],
        ),
        (
            {"redis_ballast_mib": 99_999_999, "redis_port": PORT, "redis_data_path": "/srv/bus"},
            [
                "disk full on the data volume: /srv/bus has",
                f"redis_port: TCP port {PORT} is in use by",
                "the events lie in /var/lib/redis-bus and would be left behind",
            ],
        ),
    ],
    ids=["settings", "appendfsync", "passwords", "disk full, port in use, data moved"],
)
def test_bad_input_is_refused_before_the_running_server_is_touched(
    play: Callable[..., Any], variables: dict[str, Any], words: list[str]
) -> None:
    result = play("redis", HOST, **variables)
    assert result.rc != 0
    (line,) = messages(result.out)
    assert [word for word in words if word not in line] == []
    assert "tooshort" not in result.out


def test_a_rule_that_redis_does_not_know_is_refused_before_it_is_installed(play: Callable[..., Any]) -> None:
    users = {"admin": "~* +@all", "exporter": "~* +nonsense"}
    passwords = {name: f"{name}-for-this-test-only" for name in users}
    result = play("redis", HOST, redis_users=users, redis_passwords=passwords)
    assert result.rc != 0
    (line,) = messages(result.out)
    assert "Unknown command or category name in ACL" in line
    assert not [password for password in passwords.values() if password in result.out]
