# SPDX-License-Identifier: Apache-2.0
"""How pyinfra reaches the hosts of Ansible's inventory."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.arguments import all_global_arguments
from pyinfra.connectors.ssh import connector_data_meta

from fleet.paths import PROJECT
from playbooks.pyinfra_hosts import fleet_hosts, login


def test_address_user_key_and_known_hosts_are_ansibles(tmp_path: Path) -> None:
    found = login(
        {
            "ansible_host": "192.0.2.7",
            "ansible_port": 2210,
            "ansible_user": "ops",
            "ansible_ssh_private_key_file": "/keys/id",
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={tmp_path}/lab/../known -o IdentitiesOnly=yes",
        }
    )
    assert found == {
        "ssh_hostname": "192.0.2.7",
        "ssh_port": 2210,
        "ssh_user": "ops",
        "ssh_key": "/keys/id",
        "ssh_known_hosts_file": str(tmp_path / "known"),
        "ssh_strict_host_key_checking": "yes",
    }


def test_what_the_inventory_does_not_say_is_left_to_ssh() -> None:
    assert login({"ansible_host": "192.0.2.7"}) == {
        "ssh_hostname": "192.0.2.7",
        "ssh_strict_host_key_checking": "yes",
    }


def test_every_name_is_one_that_pyinfra_knows() -> None:
    known = {*connector_data_meta, *(name for name, _ in all_global_arguments())}
    everything = {
        "ansible_host": "a",
        "ansible_port": 1,
        "ansible_user": "b",
        "ansible_ssh_private_key_file": "c",
        "ansible_become_password": "d",
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/e",
    }
    assert login(everything).keys() <= known


def test_every_linux_host_is_there_and_no_mac() -> None:
    hosts = dict(fleet_hosts(PROJECT / "inventory/production"))
    assert {"station", "vps", "modelserver"} <= hosts.keys()
    assert not {"macmini", "macbook"} & hosts.keys()
    assert all(data["ssh_hostname"] and data["ssh_user"] for data in hosts.values())
