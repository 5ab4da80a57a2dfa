# SPDX-License-Identifier: Apache-2.0
"""Groups of one's own, what a group needs, Macs, and variables that no role of a host reads."""

from __future__ import annotations

import pytest

HOSTS = "inventory/main/hosts.yml"
ALL = "inventory/main/group_vars/all.yml"
ALPHA = "inventory/main/host_vars/alpha.yml"
BETA = "inventory/main/host_vars/beta.yml"
GAMMA = "inventory/main/host_vars/gamma.yml"


def test_a_group_of_ones_own_is_told_where_to_declare_it(sandbox, refused):
    sandbox.add(HOSTS, "    rack_a: {hosts: {alpha: , beta: }}\n")
    refused("hosts.yml:10: group rack_a: rack_a: no play uses", "fleet_groups_without_play", "main/hosts.yml")


def test_a_group_that_the_hosts_file_declares_is_accepted_beside_those_of_the_project(sandbox):
    sandbox.add(HOSTS, "    rack_a: {hosts: {alpha: , beta: }}\n")
    sandbox.replace(HOSTS, "  children:", "  vars: {fleet_groups_without_play: {rack_a: where it stands}}\n  children:")
    assert sandbox.lines() == []


@pytest.mark.parametrize("children", ["{database: }", "{database: , gpu: }", "{inner: {children: {database: }}}"])
def test_a_parent_of_a_used_group_is_used(sandbox, children):
    sandbox.add(HOSTS, f"    desk: {{children: {children}}}\n")
    assert sandbox.lines() == []


def test_a_misspelt_group_stays_refused(sandbox, refused):
    sandbox.add(HOSTS, "    databsae: {hosts: {beta: }}\n")
    refused("hosts.yml:10: group databsae: databsae: no play uses", "did you mean database?")


@pytest.mark.parametrize(
    "play",
    [
        "- hosts: rack_a\n  tasks: []\n",
        "- hosts: rack_a:!macs\n  roles: [boot]\n",
        "- hosts: ~rack_[a-z]\n  tasks: []\n",
        "- hosts: rack_*\n  tasks: []\n",
        "- hosts: rack_a[0]\n  tasks: []\n",
        "- hosts: [database, rack_a]\n  tasks: []\n",
    ],
)
def test_any_playbook_of_the_folder_uses_a_group(sandbox, play):
    sandbox.add(HOSTS, "    rack_a: {hosts: {beta: }}\n")
    sandbox.write("playbooks/mine.yml", play)
    assert sandbox.lines() == []


@pytest.mark.parametrize(
    "text",
    [
        "- import_playbook: data.yml\n",
        "- ansible.builtin.import_playbook: data.yml\n- hosts: '~n[0-9]+'\n  roles: [boot]\n",
        "- hosts: all[0]\n  roles: [{role: boot}]\n",
        "- name: nothing\n",
        "text\n",
        "- text\n- 5\n-\n",
        "- hosts:\n  roles:\n",
        "- hosts: '{{ target }}'\n  roles: [boot]\n",
    ],
)
def test_a_site_of_any_form_gives_no_traceback(sandbox, text):
    sandbox.write("playbooks/site.yml", text)
    sandbox.lines()


def test_an_import_without_its_collection_is_followed(sandbox):
    sandbox.replace("playbooks/site.yml", "ansible.builtin.import_playbook", "import_playbook")
    assert sandbox.fleet().roles("alpha") == ("store", "boot")


@pytest.mark.parametrize(
    ("groups", "start", "word"),
    [
        ("agents: {hosts: {alpha: }}", "alpha: agents: in group agents, which needs redis", "add the host to redis"),
        ("agents: {hosts: {beta: }}", "beta: agents: in group agents, which needs questdb", "add the host to questdb"),
        ("trading: {hosts: {alpha: }}", "alpha: trading: in group trading, which needs kernel_tuned", "add the host"),
        ("hft: {hosts: {alpha: }}", "alpha: hft: in group hft, which needs kernel_tuned", "add the host"),
        ("xdp: {hosts: {beta: }}", "beta: xdp: in group xdp, which needs kernel_tuned", "add the host"),
    ],
)
def test_a_group_without_what_it_needs_is_refused(sandbox, groups, start, word):
    sandbox.add(HOSTS, f"    {groups}\n")
    line = next(line for line in sandbox.lines() if start in line)
    assert line.startswith("hosts.yml:10: ")
    assert word in line


def test_a_mac_in_a_group_whose_roles_need_linux_is_refused(sandbox, refused):
    sandbox.replace(HOSTS, "database: {hosts: {alpha: }}", "database: {hosts: {alpha: , gamma: }}")
    refused("hosts.yml:7: gamma: database: a Mac in group database", "take it out of database")


def test_a_mac_outside_of_macs_and_linux_inside_are_refused(sandbox):
    sandbox.replace(HOSTS, "macs: {hosts: {gamma: }}", "macs: {hosts: {beta: }}")
    lines = sandbox.lines()
    assert any("beta: macs: debian-13 in group macs" in line for line in lines)
    assert any("gamma: operating_system: a Mac outside of group macs" in line for line in lines)


@pytest.mark.parametrize("name", [ALL, "inventory/main/group_vars/database.yml", ALPHA])
def test_a_priority_where_ansible_does_not_read_it_is_refused(sandbox, refused, name):
    sandbox.add(name, "ansible_group_priority: 10\n")
    refused("", "ansible_group_priority: Ansible reads it below `vars:` of a group in hosts.yml only")


def test_a_priority_in_the_hosts_file_is_accepted(sandbox):
    sandbox.replace(
        HOSTS, "database: {hosts: {alpha: }}", "database: {hosts: {alpha: }, vars: {ansible_group_priority: 9}}"
    )
    assert sandbox.lines() == []


@pytest.mark.parametrize(
    ("name", "text", "start"),
    [
        (
            BETA,
            "store_port: 6379\n",
            "host_vars/beta.yml:6: beta: store_port: a variable of the role store, which this host",
        ),
        (
            "inventory/main/group_vars/gpu.yml",
            "store_port: 1\n",
            "group_vars/gpu.yml:1: group gpu: store_port: a variable",
        ),
    ],
)
def test_a_variable_that_no_role_of_its_hosts_reads_is_refused(sandbox, refused, name, text, start):
    sandbox.write(name, ((sandbox.root / name).read_text() if (sandbox.root / name).exists() else "") + text)
    refused(start, "add the host to a group that has it")


def test_a_host_that_no_play_may_touch_needs_no_hardware(sandbox):
    sandbox.replace(HOSTS, "    beta:", "    switch1: {ansible_host: 10.0.0.20}\n    beta:")
    assert any("switch1: operating_system: required" in line and "unmanaged" in line for line in sandbox.lines())
    sandbox.add(HOSTS, "    unmanaged: {hosts: {switch1: }}\n")
    assert sandbox.lines() == []
    assert sandbox.fleet().managed == ("alpha", "beta", "gamma")


def test_a_host_that_no_play_may_touch_still_has_an_address_of_its_own(sandbox, refused):
    sandbox.replace(HOSTS, "    beta:", "    switch1: {ansible_host: 10.0.0.1}\n    beta:")
    sandbox.add(HOSTS, "    unmanaged: {hosts: {switch1: }}\n")
    refused("hosts.yml:4: switch1: ansible_host: 10.0.0.1 is the address of alpha too")
