# SPDX-License-Identifier: Apache-2.0
"""Each check refuses one deliberately broken inventory, with file, line, host, key and the remedy."""

from __future__ import annotations

import pytest

HOSTS = "inventory/main/hosts.yml"
ALL = "inventory/main/group_vars/all.yml"
DATABASE = "inventory/main/group_vars/database.yml"
ALPHA = "inventory/main/host_vars/alpha.yml"
BETA = "inventory/main/host_vars/beta.yml"


def test_the_healthy_inventory_passes(sandbox):
    assert sandbox.lines() == []


def test_a_misspelt_variable_is_refused_with_the_nearest_name(sandbox, refused):
    sandbox.add(BETA, "opreating_system: debian-12\n")
    refused("host_vars/beta.yml:6: beta: opreating_system: ", "unknown variable", "did you mean operating_system?")


def test_a_misspelt_role_variable_is_refused_with_the_nearest_name(sandbox, refused):
    sandbox.add(DATABASE, "store_mdoe: safe\n")
    refused("group_vars/database.yml:2: group database: store_mdoe: ", "did you mean store_mode?")


def test_a_variable_like_no_other_is_refused(sandbox, refused):
    sandbox.add(ALL, "zebra: 1\n")
    refused("group_vars/all.yml:5: all: zebra: unknown variable", "remove it")


def test_a_misspelt_key_inside_the_hardware_is_refused_at_its_line(sandbox, refused):
    sandbox.replace(ALPHA, "efficiency_cpus", "eficiency_cpus")
    refused("host_vars/alpha.yml:8: alpha: hardware.cpu.eficiency_cpus: unknown key", "did you mean efficiency_cpus?")


def test_a_misspelt_key_inside_a_list_of_a_role_is_refused(sandbox, refused):
    sandbox.add(BETA, "boot_optional:\n  - name: a\n  - nmae: b\n")
    refused("host_vars/beta.yml:8: beta: boot_optional[1].nmae: unknown key", "did you mean name?")


def test_a_group_vars_file_without_its_group_is_refused(sandbox, refused):
    sandbox.write("inventory/main/group_vars/databse.yml", "store_mode: safe\n")
    refused("group_vars/databse.yml:1: group databse: databse.yml: no group", "did you mean database?")


def test_a_host_vars_file_without_its_host_is_refused(sandbox, refused):
    sandbox.write("inventory/main/host_vars/delta.yml", "operating_system: macos\n")
    refused("host_vars/delta.yml:1: delta: delta.yml: no host", "add the host to hosts.yml")


def test_files_of_hosts_that_only_another_inventory_has_are_allowed_when_both_share_the_folder(sandbox):
    sandbox.write("inventory/other/hosts.yml", "all: {hosts: {delta: }, children: {extra: {hosts: {delta: }}}}\n")
    for folder in ("group_vars", "host_vars"):
        (sandbox.root / "inventory" / "other" / folder).symlink_to(sandbox.inventory / folder)
    sandbox.write("inventory/main/host_vars/delta.yml", "operating_system: macos\n")
    sandbox.write("inventory/main/group_vars/extra.yml", "store_mode: safe\n")
    assert sandbox.lines() == []


def test_a_wrong_type_is_refused(sandbox, refused):
    sandbox.add(DATABASE, "store_port: many\n")
    refused("group_vars/database.yml:2: alpha: store_port: ", "cannot become int", "it is a int (Port)")


def test_a_wrong_type_inside_the_hardware_is_refused(sandbox, refused):
    sandbox.replace(BETA, "vram_gib: 8", "vram_gib: lots")
    refused("host_vars/beta.yml:5: beta: hardware.gpus[0].vram_gib: ", "cannot become int")


def test_a_value_outside_its_choices_is_refused(sandbox, refused):
    sandbox.replace(DATABASE, "fast", "quick")
    refused("group_vars/database.yml:1: alpha: store_mode: ", "safe, fast", "quick")


def test_an_empty_value_is_refused(sandbox, refused):
    sandbox.replace(DATABASE, "fast", "")
    refused("group_vars/database.yml:1: alpha: store_mode: is empty", "one of safe, fast")


def test_a_required_variable_that_nothing_sets_is_refused(sandbox, refused):
    sandbox.replace(BETA, "operating_system: debian-13\n", "")
    refused("hosts.yml:4: beta: operating_system: required and not set", "host_vars/beta.yml")


def test_a_reference_to_nothing_is_refused(sandbox, refused):
    sandbox.replace(DATABASE, "fast", '"{{ store_modus }}"')
    refused("group_vars/database.yml:1: alpha: store_mode: cannot be rendered", "store_modus")


def test_a_value_that_needs_facts_is_left_to_the_play(sandbox):
    sandbox.add(DATABASE, "store_distribution: \"{{ ansible_facts['distribution'] | lower }}\"\n")
    assert sandbox.lines() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2-13", ("names CPUs 12-13", "it has 0-11")),
        ("2-4", ("splits the sibling threads 4/5", '"2-5" or "2-3"')),
        ("1", ("splits the sibling threads 0/1", '"0-1"')),
        ("3-2", ("counts down",)),
        ("two", ("is no CPU list", '"0-3,8"')),
    ],
)
def test_a_cpu_list_that_does_not_fit_the_host_is_refused(sandbox, refused, text, words):
    sandbox.replace(ALPHA, '"2-5"', f'"{text}"')
    refused("host_vars/alpha.yml:2: alpha: store_cpus: ", *words)


def test_a_cpu_list_of_efficiency_cores_need_not_be_in_pairs(sandbox):
    sandbox.replace(ALPHA, '"2-5"', '"2-3,9"')
    assert sandbox.lines() == []


def test_siblings_that_are_apart_are_kept_together(sandbox, refused):
    sandbox.replace(ALPHA, "    threads_per_core: 2", "    threads_per_core: 2\n    siblings: apart")
    sandbox.replace(ALPHA, '"2-5"', '"2-3"')
    refused("host_vars/alpha.yml:2: alpha: store_cpus: ", "2/6, 3/7", '"2-3,6-7"')


def test_a_cpu_list_on_a_host_without_cpu_lists_is_refused(sandbox, refused):
    sandbox.replace(ALPHA, '    performance_cpus: "0-7"\n    efficiency_cpus: "8-11"\n', "")
    refused("host_vars/alpha.yml:2: alpha: store_cpus: ", "hardware.cpu lists no CPUs")


@pytest.mark.parametrize(
    ("change", "key", "wrong"),
    [
        (('"8-11"', '"6-11"'), "efficiency_cpus", "CPUs 6-7 are performance and efficiency CPUs"),
        (('"0-7"', '"0-6"'), "threads_per_core", "does not divide into cores of 2 threads"),
        (('"0-7"', '"0..7"'), "performance_cpus", "is no CPU list"),
        (("model: hybrid", 'model: hybrid\n    numa_nodes: ["0-5", "5-11"]'), "numa_nodes", "CPUs 5 are in two nodes"),
        (("model: hybrid", 'model: hybrid\n    numa_nodes: ["0-5"]'), "numa_nodes", "the host has 0-11"),
        (("model: hybrid", "model: hybrid\n    numa_nodes: [all]"), "numa_nodes", "is no CPU list"),
    ],
)
def test_hardware_that_contradicts_itself_is_refused(sandbox, refused, change, key, wrong):
    sandbox.replace(ALPHA, *change)
    refused("host_vars/alpha.yml:", f" alpha: hardware.cpu.{key}: ", wrong)


def test_two_owners_of_one_port_are_refused(sandbox, refused):
    sandbox.add(DATABASE, "store_admin_port: 5432\n")
    refused("group_vars/database.yml:2: alpha: store_admin_port: TCP port 5432", "store_port", "0 for none")


def test_a_host_in_gpu_without_gpus_is_refused(sandbox, refused):
    sandbox.replace(BETA, "  gpus: [{model: card, architecture: ada, vram_gib: 8}]\n", "")
    refused("host_vars/beta.yml:2: beta: hardware.gpus: in group gpu without a GPU", "host_vars/beta.yml")


def test_a_group_that_no_play_uses_is_refused_with_the_nearest_name(sandbox, refused):
    sandbox.add(HOSTS, "    databases: {hosts: {beta: }}\n")
    refused("hosts.yml:10: group databases: databases: no play uses this group", "did you mean database?")


def test_a_group_inside_one_that_a_play_uses_is_used(sandbox):
    sandbox.replace(HOSTS, "database: {hosts: {alpha: }}", "database: {children: {replicas: {hosts: {alpha: }}}}")
    assert sandbox.lines() == []


def test_a_group_that_a_play_uses_by_now_may_not_stay_in_the_ledger(sandbox, refused):
    sandbox.add(ALL, "  database: old news\n")
    refused("group_vars/all.yml:5: all: fleet_groups_without_play.database: a play uses", "remove the entry")


@pytest.mark.parametrize(
    ("first", "second"),
    [("10.0.0.2", "10.0.0.2"), ("fd00::2", "fd00:0::2"), ("10.0.0.2", "::ffff:10.0.0.2"), ("B.lan", "b.lan.")],
)
def test_duplicate_addresses_are_refused(sandbox, refused, first, second):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.2}", f'{{ansible_host: "{first}"}}')
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.3}", f'{{ansible_host: "{second}"}}')
    refused("hosts.yml:5: gamma: ansible_host: ", "is the address of beta too")


def test_one_address_with_two_ports_is_two_hosts(sandbox):
    sandbox.replace(HOSTS, "{ansible_host: 10.0.0.3}", "{ansible_host: 10.0.0.2, ansible_port: 2222}")
    assert sandbox.lines() == []


def test_invalid_yaml_is_refused_at_its_line_and_the_rest_is_still_checked(sandbox):
    sandbox.write(DATABASE, "store_mode: fast\nstore_port: [1\n")
    sandbox.add(BETA, "opreating_system: debian-12\n")
    broken, other = sandbox.lines()
    assert broken.startswith("group_vars/database.yml:3: -: database.yml: invalid YAML")
    assert other.startswith("host_vars/beta.yml:6: beta: opreating_system")


def test_a_hosts_file_with_invalid_yaml_is_refused(sandbox):
    sandbox.write(HOSTS, "all:\n  hosts: {alpha: \n")
    assert any(line.startswith("hosts.yml:") and "invalid YAML" in line for line in sandbox.lines())


def test_a_hosts_file_that_is_no_inventory_is_refused(sandbox):
    sandbox.write(HOSTS, "all:\n  hosts: [alpha]\n")
    (line,) = sandbox.lines()
    assert line.startswith("hosts.yml:2: group all: hosts: a list stands where a mapping is due")
