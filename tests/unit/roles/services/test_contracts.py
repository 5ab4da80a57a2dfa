# SPDX-License-Identifier: Apache-2.0
"""An edit of another role's variable is enough: the services follow it."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
import yaml

from fleet.model.model import Fleet
from fleet.paths import INVENTORIES, PROJECT
from roles.services.filter_plugins.services_planned import services_planned
from roles.services.rules import NOUNS, declared_for_services

SERVICES = yaml.safe_load((PROJECT / "group_vars/lab.yml").read_text())["services_instances"]
EDITS = """
redis_socket: /run/redis-bus/other.sock
questdb_http_port: 9010
questdb_http_user: scribe
"""


@pytest.fixture
def edited(tmp_path: Path) -> Fleet:
    """Return the production example after an edit of the station's variables."""
    folder = Path(copytree(INVENTORIES / "production", tmp_path / "inventory", symlinks=True))
    (folder / "group_vars").unlink()
    (folder / "group_vars").symlink_to(PROJECT / "group_vars")
    file = folder / "host_vars" / "station.yml"
    file.write_text(file.read_text() + EDITS)
    return Fleet.load(folder, PROJECT, INVENTORIES / "secrets.yml.example")


def test_the_services_follow_the_socket_the_port_and_the_user(edited: Fleet) -> None:
    services = [SERVICES[0] | {"anchors": [{"name": "oversight"}]}, *SERVICES[1:]]
    found = services_planned(services, declared_for_services(edited, "station"))
    files = {unit["name"]: yaml.safe_load(unit["text"]) for unit in found}
    assert [file["redis"]["socket"] for file in files.values()] == ["/run/redis-bus/other.sock"] * len(files)
    assert files["journal"]["questdb"] == {"address": "127.0.0.1:9010", "user": "scribe"}
    assert files["journal"]["anchors"] == [{"name": "oversight", "socket": "/run/station-anchor.sock"}]
    assert {"redis-server@bus.service", "questdb.service", "station-anchor.socket"} == set(found[0]["after"])


def test_the_tasks_ask_for_the_same_nouns_as_the_rules() -> None:
    known = yaml.safe_load((PROJECT / "roles/services/vars/main.yml").read_text())
    assert {role: tuple(known[f"__services_{role}"]) for role in NOUNS} == NOUNS
