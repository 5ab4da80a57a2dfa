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
def the_old_server_is_untouched() -> Iterator[None]:
    before = on_host(STATE)
    assert "answers" in before, "these tests need a running bus: playbooks/data.yml first"
    yield
    assert on_host(STATE) == before


# A rule that Redis does not know is refused before it is installed.
USERS = {"admin": "~* +@all", "exporter": "~* +nonsense"}
PASSWORDS = {name: f"{name}-for-this-test-only" for name in USERS}
REFUSED: list[tuple[dict[str, Any], list[str]]] = [
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
    ({"redis_save": "often"}, ["redis_save: 'often' is no snapshot rule"]),
    (
        {"redis_users": USERS, "redis_passwords": PASSWORDS},
        ["Unknown command or category name in ACL"],
    ),
]


def test_bad_input_is_refused_before_the_running_server_is_touched(refusals: Callable[..., list[str]]) -> None:
    said = refusals("redis", HOST, [variables for variables, _ in REFUSED], hidden=["tooshort", *PASSWORDS.values()])
    for (variables, words), line in zip(REFUSED, said, strict=True):
        assert [word for word in words if word not in line] == [], variables
