# SPDX-License-Identifier: Apache-2.0
"""Ports that the roles declare, those of the services included, have one owner on each host of the example."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
import yaml

from fleet.check import problems
from fleet.model.model import Fleet
from fleet.paths import INVENTORIES, PROJECT

SERVICES = yaml.safe_load((PROJECT / "group_vars/lab.yml").read_text())["services_instances"]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return a copy of the production example, to be changed; its policy is the project's."""
    folder = Path(copytree(INVENTORIES / "production", tmp_path / "inventory", symlinks=True))
    (folder / "group_vars").unlink()
    (folder / "group_vars").symlink_to(PROJECT / "group_vars")
    return folder


def lines(inventory: Path) -> list[str]:
    fleet = Fleet.load(inventory, PROJECT, INVENTORIES / "secrets.yml.example")
    return [problem.text(inventory) for problem in problems(fleet)]


def described(inventory: Path, *ports: int) -> None:
    """Describe a service for each port in the variables of the station, and nothing that is not about ports."""
    services = [
        {"kind": "recorder", "name": "journal", "metrics_port": ports[0]},
        *(
            {**SERVICES[1], "name": f"feed{n}", "stream": f"md:feed{n}", "metrics_port": port}
            for n, port in enumerate(ports[1:])
        ),
    ]
    file = inventory / "host_vars" / "station.yml"
    file.write_text(f"{file.read_text()}\n{yaml.safe_dump({'services_instances': services}, sort_keys=False)}")


def test_services_with_ports_of_their_own_are_accepted(inventory: Path) -> None:
    described(inventory, 9301, 9302)
    assert lines(inventory) == []


@pytest.mark.parametrize(
    ("port", "owner"),
    [
        (9121, "redis_exporter_port"),
        (9000, "questdb_http_port"),
        (9100, "node_exporter_port"),
        (9090, "prometheus_port"),
    ],
)
def test_the_port_of_a_service_that_another_role_has_is_refused_at_its_line(
    inventory: Path, port: int, owner: str
) -> None:
    described(inventory, 9301, port)
    text = (inventory / "host_vars" / "station.yml").read_text().splitlines()
    (line,) = lines(inventory)
    number = text.index(f"  metrics_port: {port}") + 1
    assert line.startswith(f"host_vars/station.yml:{number}: station: services_instances.1.metrics_port: ")
    assert f"TCP port {port} is claimed by {owner} (" in line


def test_two_services_with_one_port_are_one_mistake(inventory: Path) -> None:
    described(inventory, 9301, 9302, 9302)
    (line,) = lines(inventory)
    assert "services_instances.2.metrics_port: 9302 is taken by services_instances.1" in line
