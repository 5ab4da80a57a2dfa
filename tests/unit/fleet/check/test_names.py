# SPDX-License-Identifier: Apache-2.0
"""Names of one's own and Ansible's are accepted as the message says; near misses of known names are not."""

from __future__ import annotations

import pytest

HOSTS = "inventory/main/hosts.yml"
ALL = "inventory/main/group_vars/all.yml"
BETA = "inventory/main/host_vars/beta.yml"
STAGING = "inventory/staging"


@pytest.mark.parametrize(
    "text",
    [
        "ansible_become: true",
        "ansible_become_method: sudo",
        "ansible_become_flags: -H -S -n",
        'ansible_become_pass: "{{ vault_store }}"',
        'ansible_password: "{{ vault_store }}"',
        "ansible_connection: ansible.builtin.ssh",
        "ansible_connection: local",
        "ansible_ssh_args: -o ServerAliveInterval=15",
        "ansible_ssh_retries: 3",
        "ansible_ssh_host_key_checking: false",
        "ansible_ssh_extra_args: -v",
        "ansible_remote_tmp: /var/tmp/ansible",
        "ansible_shell_executable: /bin/bash",
        "ansible_perl_interpreter: /usr/bin/perl",
        "ansible_pipelining: true",
        "ansible_sudo_chdir: /",
    ],
)
def test_what_ansible_documents_of_its_connections_is_accepted(sandbox, text):
    sandbox.add(BETA, text + "\n")
    assert sandbox.lines() == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("ansible_becme: true", "ansible_become"),
        ("ansible_ssh_retrys: 3", "ansible_ssh_retries"),
        ("ansible_prot: 22", "ansible_port"),
        ("ansible_ssh_comon_args: -v", "ansible_ssh_common_args"),
        ("ansible_become_pasword: x", "ansible_become_password"),
    ],
)
def test_a_misspelt_variable_of_ansible_is_refused_with_the_nearest(sandbox, refused, text, meant):
    sandbox.add(BETA, text + "\n")
    refused("host_vars/beta.yml:6: beta: ansible_", "unknown variable", f"did you mean {meant}?")


def test_a_fact_is_no_variable_of_an_inventory(sandbox, refused):
    sandbox.add(BETA, "ansible_distribution: Debian\n")
    refused("host_vars/beta.yml:6: beta: ansible_distribution: unknown variable")


@pytest.mark.parametrize(("text", "word"), [("ansible_ssh_retries: many", "int"), ("ansible_become: perhaps", "bool")])
def test_a_variable_of_ansible_has_the_type_that_its_plugin_documents(sandbox, refused, text, word):
    sandbox.add(BETA, text + "\n")
    refused("host_vars/beta.yml:6: beta: ansible_", word)


def test_a_connection_that_no_plugin_makes_is_refused(sandbox, refused):
    sandbox.add(BETA, "ansible_connection: shh\n")
    refused("host_vars/beta.yml:6: beta: ansible_connection: ", "no connection plugin 'shh'")


@pytest.mark.parametrize("text", ["owner: desk", "bastion: ops@bastion.example.com", "addresses: {beta: 10.0.0.2}"])
def test_an_unknown_variable_is_told_how_to_be_ones_own(sandbox, refused, text):
    sandbox.add(ALL, text + "\n")
    refused("group_vars/all.yml:5: all: ", "unknown variable", "main/argument_specs.yml", "begin its name with _")


def test_a_name_with_a_leading_underscore_is_ones_own(sandbox):
    sandbox.add(ALL, "_network: 10.0.0\n_nic: {model: any, deep: [1, {a: b}]}\n")
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", '{ansible_host: "{{ _network }}.2"}')
    assert sandbox.lines() == []


def test_a_specification_beside_the_inventory_describes_ones_own_variables(sandbox, refused):
    sandbox.write(
        "inventory/main/argument_specs.yml",
        """argument_specs:
  main:
    options:
      owner: {type: str, choices: [desk, lab], description: Whose machine it is.}
      racks: {type: list, elements: dict, description: Racks., options: {name: {type: str}}}
""",
    )
    sandbox.add(ALL, "owner: desk\nracks: [{name: a}]\n")
    assert sandbox.lines() == []
    sandbox.replace(ALL, "owner: desk", "owner: attic")
    refused("group_vars/all.yml:5: ", "owner: ", "desk, lab")


def test_a_near_miss_of_a_known_name_stays_refused_beside_ones_own(sandbox, refused):
    sandbox.write("inventory/main/argument_specs.yml", "argument_specs: {main: {options: {owner: {type: str}}}}\n")
    sandbox.add(ALL, "ownr: desk\n")
    refused("group_vars/all.yml:5: all: ownr: unknown variable", "did you mean owner?")


def test_the_defaults_of_a_role_that_specifies_nothing_are_its_options(sandbox, refused):
    sandbox.write("roles/plain/defaults/main.yml", "plain_colour: red\n")
    sandbox.write("playbooks/mine.yml", "- hosts: database\n  roles: [plain]\n")
    sandbox.add("inventory/main/group_vars/database.yml", "plain_colour: 5\n")
    assert sandbox.lines() == []
    sandbox.add("inventory/main/group_vars/database.yml", "plain_color: blue\n")
    refused("group_vars/database.yml:3: group database: plain_color: ", "did you mean plain_colour?")


def test_linked_files_of_another_inventory_count_as_shared(sandbox):
    sandbox.write(f"{STAGING}/hosts.yml", (sandbox.root / HOSTS).read_text().replace("database", "store_hosts"))
    sandbox.write("playbooks/staging.yml", "- hosts: store_hosts\n  roles: [store]\n")
    for folder in ("group_vars", "host_vars"):
        (sandbox.root / STAGING / folder).mkdir()
        for file in (sandbox.inventory / folder).iterdir():
            (sandbox.root / STAGING / folder / file.name).symlink_to(file)
    for name in ("secrets.yml", ".vault-password"):
        (sandbox.root / STAGING / name).symlink_to(sandbox.inventory / name)
    sandbox.write(f"{STAGING}/group_vars/store_hosts.yml", "store_mode: safe\n")
    sandbox.inventory = sandbox.root / STAGING
    assert [line for line in sandbox.lines() if "has this name" in line] == []


def test_a_host_of_a_group_that_nothing_describes_is_told_first_whom_it_resembles(sandbox):
    sandbox.replace(HOSTS, "database: {hosts: {alpha: }}", "database: {hosts: {alhpa: }}")
    first = sandbox.lines()[0]
    assert first.startswith("hosts.yml:7: alhpa: alhpa: no host_vars file")
    assert first.endswith("did you mean alpha?")


def test_a_host_whose_file_cannot_be_read_has_no_further_lines(sandbox, refused):
    sandbox.write(BETA, "hardware: [\n")
    refused("host_vars/beta.yml:2: -: beta.yml: invalid YAML")
