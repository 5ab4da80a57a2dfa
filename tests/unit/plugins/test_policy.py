# SPDX-License-Identifier: Apache-2.0
"""An inventory of one's own lies anywhere: the project's policy counts under what it says itself, in every program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleet import check as checks
from fleet.model.model import Fleet
from fleet.paths import INVENTORIES, PROJECT, VENV_BIN

EXAMPLE = INVENTORIES / "secrets.yml.example"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Return a fleet outside of the clone: hosts, their hardware, and two settings of its own."""
    folder = tmp_path / "mine"
    shutil.copytree(INVENTORIES / "production" / "host_vars", folder / "host_vars")
    shutil.copy(INVENTORIES / "production" / "hosts.yml", folder)
    (folder / "group_vars").mkdir()
    (folder / "group_vars" / "redis.yml").write_text("redis_maxmemory_mib: 4096\n")
    (folder / "group_vars" / "all.yml").write_text("base_timezone: Europe/Berlin\nansible_user: admin\n")
    return folder


def problems(folder: Path) -> list[str]:
    return [problem.text(PROJECT) for problem in checks.problems(Fleet.load(folder, PROJECT, EXAMPLE))]


def known_to_ansible(folder: Path, cwd: Path) -> dict[str, Any]:
    """Return the station's variables as Ansible prints them."""
    words = [str(VENV_BIN / "ansible-inventory"), "-i", str(folder), "--host", "station"]
    environment = os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    said = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


def test_what_the_inventory_says_wins_and_the_rest_is_the_projects(mine):
    assert problems(mine) == []
    known = Fleet.load(mine, PROJECT, EXAMPLE).settings("station")
    assert (known["redis_maxmemory_mib"], known["base_timezone"], known["ansible_user"]) == (
        4096,
        "Europe/Berlin",
        "admin",
    )
    assert (known["redis_appendfsync"], known["kernel_profile"]) == ("everysec", "trading")


@pytest.mark.parametrize("inside", [True, False], ids=["started in the clone", "started elsewhere"])
def test_ansibles_own_programs_see_the_same(mine, tmp_path, inside):
    known = known_to_ansible(mine, PROJECT if inside else tmp_path)
    assert (known["redis_maxmemory_mib"], known["ansible_user"]) == (4096, "admin")
    assert (known["redis_appendfsync"], known["kernel_profile"]) == ("everysec", "trading")


def test_an_inventory_without_group_vars_has_the_projects(mine):
    shutil.rmtree(mine / "group_vars")
    assert problems(mine) == []
    assert Fleet.load(mine, PROJECT, EXAMPLE).settings("station")["redis_maxmemory_mib"] == 8192


def test_a_play_anywhere_runs_with_the_policy_and_with_what_wins_over_it(mine, tmp_path):
    play = tmp_path / "play.yml"
    told = "{{ redis_maxmemory_mib }} {{ redis_appendfsync }}"
    task = {"ansible.builtin.debug": {"msg": told}}
    play.write_text(json.dumps([{"hosts": "station", "gather_facts": False, "tasks": [task]}]))
    words = [str(VENV_BIN / "ansible-playbook"), "-i", str(mine), str(play)]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "4096 everysec" in done.stdout


def test_a_misspelt_name_in_ones_own_policy_is_refused_with_its_file(mine):
    (mine / "group_vars" / "redis.yml").write_text("redis_maxmemroy_mib: 4096\n")
    (line,) = problems(mine)
    assert line.startswith(f"{mine}/group_vars/redis.yml:1: group redis: redis_maxmemroy_mib: ")


def test_a_file_of_a_group_that_the_inventory_lacks_is_refused_although_the_project_has_it(mine):
    (mine / "group_vars" / "lab.yml").write_text("base_journal_max_use: 1G\n")
    (line,) = problems(mine)
    assert line.startswith(f"{mine}/group_vars/lab.yml:1: group lab: lab.yml: no group has this name")


def test_the_projects_own_inventories_read_the_policy_once():
    fleet = Fleet.load(INVENTORIES / "production", PROJECT, EXAMPLE)
    found = [item.owner for item in fleet.definitions if item.key == "redis_maxmemory_mib"]
    assert sorted(found) == ["group lab", "group redis"]
