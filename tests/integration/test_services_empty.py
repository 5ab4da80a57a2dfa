# SPDX-License-Identifier: Apache-2.0
"""A host with no service described yet gets everything that the first one will need, and a line that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

HOST = "laptop"  # without bus, database and secrets
ROLE = [
    # Elsewhere the roles before have made it.
    {"name": "Make the group", "ansible.builtin.group": {"name": "station", "system": True}},
    {"name": "Apply the role", "ansible.builtin.include_role": {"name": "services"}},
]
AWAY = [
    {
        "name": "Stop the target",
        "ansible.builtin.systemd_service": {"name": "station.target", "state": "stopped", "enabled": False},
    },
    {
        "name": "Remove what the role has written",
        "ansible.builtin.file": {"path": "{{ item }}", "state": "absent"},
        "loop": [
            "/etc/station",
            "/opt/station",
            "/usr/local/bin/station",
            "/var/lib/station",
            "/etc/systemd/system/station.target",
            "/etc/systemd/system/station@.service",
        ],
    },
    {"name": "Remove the user", "ansible.builtin.user": {"name": "station", "state": "absent"}},
    {"name": "Remove the group", "ansible.builtin.group": {"name": "station", "state": "absent"}},
]


@pytest.fixture
def applied(play: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    yield lambda check=False: play("services", HOST, check=check, tasks=ROLE, services_instances=[])
    assert play("services", HOST, tasks=AWAY).rc == 0


def test_an_empty_list_is_no_failure_says_how_to_add_a_service_and_a_second_run_changes_nothing(
    applied: Callable[..., Any], play: Callable[..., Any]
) -> None:
    first, second, dry = applied(), applied(), applied(check=True)
    assert first.rc == 0, first.out
    assert f"{HOST} gets no service, as services_instances is empty" in first.out
    assert "changed=0 " in second.out, second.out
    assert "changed=0 " in dry.out, dry.out
    check = {"name": "Check", "ansible.builtin.command": {"cmd": "systemctl is-active station.target"}}
    assert play("services", HOST, tasks=[check]).rc == 0
