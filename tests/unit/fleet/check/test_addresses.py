# SPDX-License-Identifier: Apache-2.0
"""Addresses and host names that role base can write into the hosts file of every host."""

from __future__ import annotations

import pytest

HOSTS = "inventory/main/hosts.yml"
BETA = "inventory/main/host_vars/beta.yml"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.10.0.256", ("no IP address",)),
        ("10.10", ("10.10",)),
        ("10", ("no IP address",)),
        ("10.10.0.12/24", ("no IP address", "prefix")),
        ("ops@10.10.0.12", ("no IP address", "user")),
        ("10.10.0.12:22", ("no IP address", "port")),
        ('"ai box.lan"', ("no IP address",)),
        ('"-oProxyCommand=x"', ("no IP address",)),
        ('""', ("has no address",)),
        ('" "', ("has no address",)),
        ("", ("no address",)),
        ("0.0.0.0", ("no single host",)),  # noqa: S104 - no socket is bound
        ('"::"', ("no single host",)),
        ("255.255.255.255", ("no single host",)),
        ("224.0.0.1", ("no single host",)),
        ('"::ffff:10.0.0.1"', ("address of alpha too", "same_machine_as: alpha")),
        ("alpha", ("another host's name",)),
        ("vps.example.com", ("is a DNS name", "getent hosts vps.example.com")),
        ("my_box", ("is a DNS name",)),
        ("[10.0.0.2]", ()),
        ("{a: b}", ()),
        ("yes", ()),
    ],
)
def test_what_is_no_address_of_one_host_is_refused(sandbox, address, words):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", f"{{ansible_host: {address}}}")
    lines = sandbox.lines()
    assert lines
    assert all(line.startswith("hosts.yml:4: beta: ansible_host: ") for line in lines), lines
    assert all(word in " ".join(lines) for word in words), lines


@pytest.mark.parametrize("connection", ["ssh", "local"])
def test_a_host_without_an_address_is_refused_however_it_is_reached(sandbox, refused, connection):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", f"{{ansible_connection: {connection}}}")
    refused("", "beta: ansible_host: this host has no address", "write the IP address")


@pytest.mark.parametrize("address", ["10.0.0.9", '"fd00::9"', "127.0.0.1", '"{{ _net }}.9"'])
def test_an_address_of_one_host_is_accepted(sandbox, address):
    sandbox.add("inventory/main/group_vars/all.yml", "_net: 10.0.0\n")
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", f"{{ansible_host: {address}}}")
    assert sandbox.lines() == []


@pytest.mark.parametrize("name", ["My_Box", "-box", "box.example.com", "10.20.0.11", "box-", "a" * 64, "BETA"])
def test_a_name_that_no_hosts_file_can_hold_is_refused_with_the_rule(sandbox, name):
    sandbox.replace(HOSTS, "    beta: {", f'    "{name}": {{')
    sandbox.replace(HOSTS, "{beta: }", f'{{"{name}": }}')
    (sandbox.root / BETA).rename(sandbox.inventory / "host_vars" / f"{name}.yml")
    (line,) = sandbox.lines()
    assert line.startswith(f"hosts.yml:4: {name}: {name}: is no host name")
    assert "lower-case letters, digits and hyphens" in line


def test_one_machine_under_two_names_can_be_said(sandbox):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.3}", "{ansible_host: 10.0.0.2, same_machine_as: beta}")
    assert sandbox.lines() == []
    sandbox.replace(HOSTS, "same_machine_as: beta", "same_machine_as: btea")
    assert any("same_machine_as: btea is no other host" in line for line in sandbox.lines())


def test_a_port_for_sshd_that_ansible_does_not_connect_to_is_refused(sandbox):
    sandbox.write("roles/ssh/defaults/main.yml", "ssh_port: 22\nssh_transition_port: 0\n")
    sandbox.write(
        "roles/ssh/meta/argument_specs.yml",
        "argument_specs: {main: {options: {ssh_port: {type: int}, ssh_transition_port: {type: int}}}}\n",
    )
    sandbox.replace("playbooks/site.yml", "roles: [{role: boot, tags: [boot]}]", "roles: [boot, ssh]")
    sandbox.add(BETA, "ssh_port: 2222\n")
    (line,) = sandbox.lines()
    assert line.startswith("host_vars/beta.yml:6: beta: ssh_port: sshd will listen on 2222, and Ansible connects to 22")
    sandbox.add(BETA, "ansible_port: 2222\n")
    assert sandbox.lines() == []
    sandbox.replace(BETA, "ansible_port: 2222", "ssh_transition_port: 22")
    assert sandbox.lines() == []


def test_a_private_key_that_does_not_exist_is_refused(sandbox, refused):
    sandbox.add(BETA, "ansible_ssh_private_key_file: /nowhere/id_ed25519\n")
    refused("host_vars/beta.yml:6: beta: ansible_ssh_private_key_file: /nowhere/id_ed25519 does not exist")
