# SPDX-License-Identifier: Apache-2.0
"""The fleet as the plays will see it."""

from __future__ import annotations

import shutil

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from fleet import check as checks
from fleet.check.__main__ import main
from fleet.model.model import Fleet
from fleet.model.project import hosts_matching
from fleet.model.settings import UnrenderableError
from fleet.paths import PROJECT

EXAMPLE = PROJECT / "inventory" / "secrets.yml.example"


def test_hosts_have_the_groups_roles_and_layers_that_the_plays_give_them(sandbox):
    fleet = sandbox.fleet()
    assert fleet.hosts == ("alpha", "beta", "gamma")
    assert fleet.groups("alpha") == ("database",)
    assert fleet.roles("alpha") == ("store", "boot")
    assert fleet.layers("alpha") == ("data", "kernel")
    assert fleet.roles("gamma") == ()


def test_inventory_variables_win_over_role_defaults_and_are_rendered(sandbox):
    settings = sandbox.fleet().settings("alpha")
    assert settings["store_mode"] == "fast"
    assert settings["store_port"] == 5432
    assert settings["store_password"] == "a-secret-of-its-own"
    assert "store_mode" not in sandbox.fleet().settings("beta")


def test_a_value_that_needs_facts_raises_and_leaves_the_others_alone(sandbox):
    settings = sandbox.fleet().settings("alpha")
    with pytest.raises(UnrenderableError, match="store_distribution"):
        settings["store_distribution"]
    assert settings["store_mode"] == "fast"


def test_declared_collects_one_noun_of_the_roles_of_a_host(sandbox):
    fleet = sandbox.fleet()
    assert fleet.declared("sysctl", "alpha") == {"store": {"vm.swappiness": 1}, "boot": {"vm.dirty_ratio": 10}}
    assert fleet.declared("sysctl", "beta") == {"boot": {"vm.dirty_ratio": 10}}
    assert fleet.declared("nothing", "alpha") == {}


def test_the_place_of_a_variable_is_the_file_that_wins(sandbox):
    sandbox.add("inventory/main/group_vars/all.yml", "store_mode: safe\n")
    place = sandbox.fleet().place("alpha", "store_mode")
    assert (place.file.name, place.line) == ("database.yml", 1)


@pytest.mark.parametrize(
    "pattern",
    [
        "all",
        "alpha",
        "database",
        "all:!macs",
        "gpu:database",
        "all:&gpu",
        "gpu,macs:!gamma",
        "*a:!b*",
        "d*",
        "~[ag].*",
        "all[1]",
        "all[0:1]",
    ],
)
def test_patterns_choose_the_hosts_that_ansible_chooses(sandbox, pattern):
    known = InventoryManager(DataLoader(), sources=[str(sandbox.inventory / "hosts.yml")])
    assert hosts_matching(pattern, sandbox.fleet().members) == {host.name for host in known.get_hosts(pattern)}


def test_a_fleet_of_twenty_hosts_passes_and_a_fault_in_the_last_is_found(sandbox):
    names = [f"host{number:02}" for number in range(20)]
    hosts = {name: {"ansible_host": f"10.0.1.{number}"} for number, name in enumerate(names)}
    database = {"hosts": dict.fromkeys(names)}
    content = {"all": {"hosts": hosts, "children": {"database": database, "gpu": database}}}
    sandbox.write("inventory/main/hosts.yml", yaml.safe_dump(content))
    for name in ("alpha", "gamma"):
        (sandbox.inventory / "host_vars" / f"{name}.yml").unlink()
    beta = (sandbox.inventory / "host_vars" / "beta.yml").rename(sandbox.root / "template").read_text()
    for name in names:
        sandbox.write(f"inventory/main/host_vars/{name}.yml", beta)
    assert sandbox.lines() == []
    sandbox.add("inventory/main/host_vars/host19.yml", "store_cpus: 0-9\n")
    (line,) = sandbox.lines()
    assert line.startswith("host_vars/host19.yml:6: host19: store_cpus: ")


def test_all_problems_are_printed_at_once_and_the_status_is_one(sandbox, capsys):
    sandbox.add("inventory/main/group_vars/database.yml", "store_mdoe: safe\nstore_port: many\n")
    assert main([str(sandbox.inventory), "--project", str(sandbox.root)]) == 1
    assert [line.split(": ")[2] for line in capsys.readouterr().out.splitlines()] == ["store_mdoe", "store_port"]


def test_a_healthy_inventory_is_summed_up_in_one_line(sandbox, capsys):
    secrets = sandbox.root / "inventory" / "secrets.yml.example"
    assert main([str(sandbox.inventory), "--project", str(sandbox.root), "--secrets", str(secrets)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "3 hosts, 3 groups" in line
    assert "secrets taken from" in line


def test_a_folder_that_does_not_exist_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2
    assert "no inventory folder" in capsys.readouterr().err


def test_a_problem_that_several_hosts_share_is_one_line(sandbox):
    sandbox.add("inventory/main/group_vars/all.yml", "ansible_port: many\n")
    (line,) = sandbox.lines()
    assert "alpha, beta, gamma: ansible_port" in line


def test_the_production_inventory_is_healthy():
    fleet = Fleet.load(PROJECT / "inventory" / "production", PROJECT, EXAMPLE)
    assert [problem.text(PROJECT) for problem in checks.problems(fleet)] == []


def test_the_other_build_of_the_inference_box_is_healthy(tmp_path):
    production = PROJECT / "inventory" / "production"
    for name in ("hosts.yml", "group_vars"):
        (tmp_path / name).symlink_to(production / name)
    shutil.copytree(production / "host_vars", tmp_path / "host_vars")
    shutil.copy(PROJECT / "inventory" / "profiles" / "aibox-rtx3090.yml", tmp_path / "host_vars" / "aibox.yml")
    fleet = Fleet.load(tmp_path, PROJECT, EXAMPLE)
    assert [problem.text(PROJECT) for problem in checks.problems(fleet)] == []
    assert fleet.settings("aibox")["hardware"]["gpus"][0]["vram_gib"] == 24
