# SPDX-License-Identifier: Apache-2.0
"""Whom the kill switch halts and how it gets there, also by an inventory that is broken in places."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fleet.halt.targets import Target, targets
from fleet.model.model import Fleet
from fleet.paths import INVENTORIES, PROJECT


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return a copy of the production example without its secrets."""
    copy = tmp_path / "fleet"
    shutil.copytree(
        INVENTORIES / "production", copy, symlinks=True, ignore=shutil.ignore_patterns("secrets.yml", ".v*")
    )
    if (copy / "group_vars").is_symlink():
        (copy / "group_vars").unlink()
        (copy / "group_vars").symlink_to(PROJECT / "group_vars")
    return copy


def found(inventory: Path, limit: str = "") -> dict[str, Target]:
    return {target.name: target for target in targets(Fleet.load(inventory, PROJECT), limit)}


def add(file: Path, text: str) -> None:
    file.write_text((file.read_text() if file.exists() else "") + text)


def test_every_linux_host_is_halted_and_those_that_trade_come_first(inventory: Path):
    hosts = found(inventory)
    assert next(iter(hosts)) == "station"
    assert {"station", "ms01", "aibox", "modelserver", "laptop", "vps"} <= hosts.keys()
    assert not {"macmini", "macbook"} & hosts.keys()
    assert [host.trades for host in hosts.values()] == sorted((host.trades for host in hosts.values()), reverse=True)


@pytest.mark.parametrize(
    ("limit", "names"), [("station", {"station"}), ("redis,vps", {"station", "vps"}), ("nas", set())]
)
def test_a_limit_narrows_it_to_hosts_and_groups(inventory: Path, limit: str, names: set[str]):
    assert found(inventory, limit).keys() == names


def test_a_linux_host_in_the_group_of_macs_is_halted_all_the_same(inventory: Path):
    hosts = inventory / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("macs: {hosts: {", "macs: {hosts: {laptop: , "))
    assert "laptop" in Fleet.load(inventory, PROJECT).members["macs"]
    assert "laptop" in found(inventory)


@pytest.mark.parametrize(
    "broken",
    [
        'ansible_port: "{{ nobody_says }}"\n',
        'ansible_become_password: "{{ vault_closed }}"\n',
        "\thosts: [\n",
        "- a list\n",
    ],
)
def test_one_broken_host_takes_no_other_away(inventory: Path, broken: str):
    whole = found(inventory)
    file = inventory / "host_vars" / "laptop.yml"
    if broken.startswith("ansible"):
        add(file, broken)
    else:
        file.write_text(broken)
    hosts = found(inventory)
    assert {name: target for name, target in hosts.items() if name != "laptop"} == {
        name: target for name, target in whole.items() if name != "laptop"
    }
    assert hosts["laptop"].command[0] == "ssh"


def test_a_closed_vault_is_noted_and_sudo_is_tried_without_a_password(inventory: Path):
    add(inventory / "host_vars" / "laptop.yml", 'ansible_become_password: "{{ vault_closed }}"\n')
    laptop = found(inventory)["laptop"]
    assert laptop.password is None
    assert "ansible_become_password" in " ".join(laptop.notes)
    assert laptop.command[-2:] == ("sudo", "-n")


def test_the_way_is_the_one_that_the_plays_take(inventory: Path):
    add(
        inventory / "host_vars" / "vps.yml",
        "ansible_port: 2210\nansible_user: deploy\nansible_ssh_private_key_file: /keys/id\n"
        "ansible_ssh_common_args: -o ProxyJump=ops@bastion.example.com\n",
    )
    command = " ".join(found(inventory)["vps"].command)
    for words in ("-p 2210", "-l deploy", "-i /keys/id", "-o ProxyJump=ops@bastion.example.com", "-o BatchMode=yes"):
        assert words in command
    assert command.endswith(f"-- {Fleet.load(inventory, PROJECT).settings('vps')['ansible_host']} sudo -n")


def test_root_needs_no_sudo_and_a_local_host_no_ssh(inventory: Path):
    add(inventory / "host_vars" / "vps.yml", "ansible_user: root\n")
    add(inventory / "host_vars" / "laptop.yml", "ansible_connection: local\nansible_become_password: word\n")
    hosts = found(inventory)
    assert "sudo" not in hosts["vps"].command
    assert (hosts["laptop"].command[:2], hosts["laptop"].password) == (("sudo", "-S"), "word")


def test_an_address_that_looks_like_an_option_is_none(inventory: Path):
    add(inventory / "host_vars" / "vps.yml", "ansible_host: -oProxyCommand=id\n")
    command = found(inventory)["vps"].command
    assert command[command.index("-oProxyCommand=id") - 1] == "--"
