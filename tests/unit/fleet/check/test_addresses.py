# SPDX-License-Identifier: Apache-2.0
"""Addresses and host names that role base can write into the hosts file of every host."""

from __future__ import annotations

import pytest

HOSTS = "inventory/main/hosts.yml"
BETA = "inventory/main/host_vars/beta.yml"


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("10.10.0.256", "no address and no DNS name"),
        ("10.10", "no address and no DNS name"),
        ("10", "no address and no DNS name"),
        ("10.10.0.12/24", "prefix"),
        ("ops@10.10.0.12", "user"),
        ("10.10.0.12:22", "port"),
        ('"ai box.lan"', "no address and no DNS name"),
        ('"-oProxyCommand=x"', "no address and no DNS name"),
        ('"box..lan"', "no address and no DNS name"),
        ('""', "has no address"),
        ('" "', "has no address"),
        ("", "no address"),
        ("0.0.0.0", "no single host"),
        ('"::"', "no single host"),
        ("255.255.255.255", "no single host"),
        ("224.0.0.1", "no single host"),
        ('"::ffff:10.0.0.1"', "same_machine_as: alpha"),
        ("alpha", "another host's name"),
        ("[10.0.0.2]", "ansible_host"),
        ("{a: b}", "ansible_host"),
        ("yes", "quotes"),
    ],
)
def test_what_is_no_address_of_one_host_is_refused(sandbox, address, word):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", f"{{ansible_host: {address}}}")
    lines = sandbox.lines()
    assert lines
    assert all(line.startswith("hosts.yml:4: beta: ansible_host: ") for line in lines), lines
    assert word in " ".join(lines), lines


def test_a_host_without_an_address_is_refused(sandbox, refused):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", "{ansible_connection: ssh}")
    refused("", "beta: ansible_host: this host has no address", "write the IP address or DNS name")


@pytest.mark.parametrize(
    "address", ["10.0.0.9", '"fd00::9"', "127.0.0.1", '"{{ _net }}.9"', "vps.example.com", "my_box"]
)
def test_an_address_or_a_dns_name_of_one_host_is_accepted(sandbox, address):
    sandbox.add("inventory/main/group_vars/all.yml", "_net: 10.0.0\n")
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", f"{{ansible_host: {address}}}")
    assert sandbox.lines() == []


def test_the_control_machine_needs_no_address(sandbox):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", "{ansible_connection: local}")
    assert sandbox.lines() == []


def test_a_host_with_a_domain_is_reached_by_its_name(sandbox):
    sandbox.replace(HOSTS, "    beta: {ansible_host: 10.0.0.2}", "    beta.example.com:")
    sandbox.replace(HOSTS, "{beta: }", "{beta.example.com: }")
    (sandbox.root / BETA).rename(sandbox.inventory / "host_vars" / "beta.example.com.yml")
    assert sandbox.lines() == []


@pytest.mark.parametrize("name", ["My_Box", "-box", "10.20.0.11", "box-", "a" * 64, "BETA", "box..lan"])
def test_a_name_that_no_machine_can_have_is_refused_with_the_rule(sandbox, name):
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


def test_a_private_key_that_does_not_exist_is_refused(sandbox, refused):
    sandbox.add(BETA, "ansible_ssh_private_key_file: /nowhere/id_ed25519\n")
    refused("host_vars/beta.yml:6: beta: ansible_ssh_private_key_file: /nowhere/id_ed25519 does not exist")
