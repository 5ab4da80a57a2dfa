# SPDX-License-Identifier: Apache-2.0
"""A second copy of what another role owns is found, and a declaration that nobody reads or that has no form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.lint import contracts

BUS = {
    "bus_socket": ("str", "/run/bus/bus.sock"),
    "bus_port": ("int", 6380),
    "bus_group": ("str", "tradebus"),
    "bus_state": ("list", [{"path": "/var/lib/bus", "what": "events"}]),
}
READER = "x: \"{{ lookup('declared', 'socket', of='bus') }} {{ lookup('declared', 'group', of='bus') }}\"\n"
STATE_READER = "y: \"{{ lookup('declared', 'state')[inventory_hostname] }}\"\n"


@pytest.fixture
def findings(tmp_path: Path):
    """Return a function that writes the role bus and another role, and returns what the lint says."""

    def run(other: dict[str, str], bus: dict[str, tuple[str, Any]] = BUS) -> list[str]:
        for role, values in (("bus", bus), ("user", {})):
            folder = tmp_path / "roles" / role
            for name in ("meta", "defaults", "tasks", "templates"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            options = {key: {"type": kind} for key, (kind, _) in values.items()}
            (folder / "meta/argument_specs.yml").write_text(
                yaml.safe_dump({"argument_specs": {"main": {"options": options}}})
            )
            (folder / "defaults/main.yml").write_text(
                yaml.safe_dump({key: value for key, (_, value) in values.items()})
            )
        (tmp_path / "roles/bus/tasks/run.yml").write_text(
            yaml.safe_dump([{"name": "Run", "unit_converged": {"name": "bus.service"}}])
        )
        for name, text in other.items():
            (tmp_path / "roles/user" / name).write_text(text)
        return [str(finding) for finding in contracts.check(tmp_path)]

    return run


def test_what_is_read_through_declared_passes(findings) -> None:
    assert findings({"templates/a.j2": READER + STATE_READER}) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ExecStart=/bin/x /run/bus/bus.sock\n", "/run/bus/bus.sock is bus_socket of the role bus"),
        ("Environment=URL=http://127.0.0.1:6380/\n", "6380 is bus_port of the role bus"),
        ("SupplementaryGroups=tradebus\n", "tradebus is bus_group of the role bus"),
        ("After=bus.service\n", "bus.service is the unit of the role bus"),
        ("ReadWritePaths=/run/bus/bus.sock/deeper\n", ""),
        ("# reads /run/bus/bus.sock\n", ""),
        ("Frames=6380\n", ""),
        ("Description=the tradebus of the station\n", ""),
    ],
)
def test_a_literal_of_another_role_is_a_second_copy(findings, text: str, words: str) -> None:
    found = findings({"templates/a.j2": READER + STATE_READER, "templates/x.service.j2": text})
    assert [line for line in found if words in line] == found
    assert bool(found) == bool(words)


def test_a_declaration_that_nobody_reads_is_named(findings) -> None:
    (line,) = findings({"templates/a.j2": READER})
    assert "bus_state: nobody reads declared('state')" in line


def test_a_declaration_of_another_type_or_without_its_keys_is_named(findings) -> None:
    bus = BUS | {"bus_state": ("dict", {}), "bus_socket": ("str", "/run/x"), "bus_units": ("list", [{"name": "a"}])}
    lines = findings({"templates/a.j2": READER + STATE_READER + "z: \"{{ lookup('declared', 'units') }}\"\n"}, bus)
    assert len(lines) == 2
    assert any("bus_state: is a dict; a declaration of state is a list" in line for line in lines)
    assert any("bus_units: an entry has no drain, restart" in line for line in lines)
