# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests on real hosts: the same files prove the lab's containers and the machines they stand for.

A file is named for a role, test_<role>.py, and its tests run once for each host that has the role.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from fleet.model.model import Fleet
from fleet.model.project import hosts_matching
from fleet.model.settings import Settings
from fleet.paths import PROJECT
from fleet.run.checks import HostAwayError
from fleet.run.reached import Reached
from fleet.run.reporter import Reporter

# A host that stops to answer in the middle is away after half a minute.
KEEP_ALIVE = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"
CONTROL_SOCKETS = Path.home() / ".ansible" / "cp"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fleet")
    group.addoption("--inventory", default="inventory/lab", help="inventory folder (default: the lab)")
    group.addoption("--limit", default="all", help="hosts or groups to test, as in ansible-playbook --limit")
    group.addoption("--disruptive", action="store_true", help="also kill services, on hosts that are not of the lab")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Reporter())
    config.addinivalue_line("markers", "disruptive: kills a service or raises an alarm; the lab's hosts only")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of roles that no chosen host has."""
    role = collection_path.stem.removeprefix("test_")
    if not collection_path.name.startswith("test_") or role not in _chosen(config)[0].project.role_names:
        return None
    return None if _hosts_with(role, config) else True


@cache
def _fleet(inventory: Path) -> Fleet:
    fleet = Fleet.load(inventory, PROJECT)
    if fleet.problems:
        raise pytest.UsageError("\n".join(problem.text(PROJECT) for problem in fleet.problems))
    return fleet


@cache
def _connection(fleet: Fleet, name: str) -> Reached:
    settings = fleet.settings(name)
    CONTROL_SOCKETS.mkdir(mode=0o700, parents=True, exist_ok=True)
    address, port = settings.get("ansible_host", name), settings.get("ansible_port", 22)
    connection: Reached = Reached.get_host(
        f"ssh://{settings['ansible_user']}@{address}:{port}",
        sudo=True,
        ssh_identity_file=settings.get("ansible_ssh_private_key_file"),
        ssh_extra_args=f"{KEEP_ALIVE} {settings.get('ansible_ssh_common_args', '')}",
        controlpersist=60,
        controlpath=str(CONTROL_SOCKETS / "test-%%C"),  # testinfra formats the command with %
    )
    connection.name, connection.place = name, f"{address} port {port}"
    return connection


@cache
def _usable(connection: Reached, user: str) -> Reached:
    answer = connection.run("true")
    if answer.rc != 0:
        connection.away = f"{connection.name}: {user} cannot use sudo: {answer.stderr.strip()}"
        raise HostAwayError(connection.away)
    return connection


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin each check with its host's answer, before any fixture goes there by a way of its own."""
    name = getattr(item, "callspec", None) and item.callspec.params.get("_name")  # type: ignore[attr-defined]
    if name:
        fleet = _fleet(Path(item.config.getoption("inventory")))
        _usable(_connection(fleet, name), str(fleet.settings(name)["ansible_user"]))


def _chosen(config: pytest.Config) -> tuple[Fleet, frozenset[str]]:
    fleet = _fleet(Path(config.getoption("inventory")))
    return fleet, frozenset(hosts_matching(config.getoption("limit"), fleet.members))


def _hosts_with(role: str, config: pytest.Config) -> list[str]:
    fleet, chosen = _chosen(config)
    return [name for name in fleet.hosts if name in chosen and role in fleet.roles(name)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "_name" not in metafunc.fixturenames:
        return
    role = Path(metafunc.module.__file__).stem.removeprefix("test_")
    if role not in _chosen(metafunc.config)[0].project.role_names:
        raise pytest.UsageError(
            f"tests/host/test_{role}.py: there is no role {role}; name the file for the role it proves"
        )
    metafunc.parametrize("_name", _hosts_with(role, metafunc.config), scope="session")


@pytest.fixture(autouse=True)
def _spare_hosts_in_use(request: pytest.FixtureRequest) -> None:
    """Skip what disturbs a host, unless it is one of the lab or --disruptive says that nobody trades on it now."""
    if request.node.get_closest_marker("disruptive") is None or request.config.getoption("disruptive"):
        return
    name = str(request.getfixturevalue("_name"))
    if "lab" not in _chosen(request.config)[0].groups(name):
        pytest.skip("it would disturb a host in use: run pytest with --disruptive in a maintenance window")


@pytest.fixture(scope="session")
def _name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest) -> Fleet:
    """Return the hosts of the inventory, with what their roles declare."""
    return _fleet(Path(request.config.getoption("inventory")))


@pytest.fixture(scope="session")
def host(_name: str, fleet: Fleet) -> Host:
    """Return the host under test, reached as the plays reach it, with sudo."""
    return _connection(fleet, _name)


@pytest.fixture(scope="session")
def settings(_name: str, fleet: Fleet) -> Settings:
    """Return what the inventory and the roles' defaults say about the host under test."""
    return fleet.settings(_name)


@pytest.fixture(scope="session")
def declared(_name: str, fleet: Fleet) -> Callable[[str], dict[str, Any]]:
    """Return a function that gives what the roles of the host under test declare of a noun, by role."""
    return lambda noun: fleet.declared(noun, _name)


@pytest.fixture(scope="session")
def peer(fleet: Fleet) -> Callable[[str], Host]:
    """Return a function that gives another host of the inventory by its name."""
    return lambda name: _connection(fleet, name)
