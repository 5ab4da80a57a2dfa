# SPDX-License-Identifier: Apache-2.0
"""What counts as the inventory: everything that Ansible would read is read, or refused by its name."""

from __future__ import annotations

import pytest

from fleet import check as checks
from fleet.errors import UserError
from fleet.model import folder
from fleet.model.model import Fleet

HOSTS = "inventory/main/hosts.yml"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("extra", "[database]\nalpha ansible_host=10.99.99.99\nghost ansible_host=10.99.99.98\n"),
        ("hosts_2024-01-01", "all: {hosts: {ghost: {ansible_host: 10.99.99.98}}}\n"),
        ("site.ini", "[database]\nghost\n"),
        ("more.toml", "[database.hosts]\nghost = {}\n"),
        ("inventory.cfg", "[database]\nghost\n"),
    ],
)
def test_a_file_that_ansible_takes_for_an_inventory_too_is_refused_by_name(sandbox, refused, name, text):
    sandbox.write(f"inventory/main/{name}", text)
    refused(f"{name}:1: -: {name}: Ansible reads this file as an inventory too", "hosts.yml")


def test_a_script_is_refused_and_not_run(sandbox):
    proof = sandbox.root / "proof"
    for name in ("dyn.sh", "dyn.yml"):
        sandbox.write(f"inventory/main/{name}", f"#!/bin/sh\ntouch {proof}\necho '{{}}'\n")
        (sandbox.inventory / name).chmod(0o755)
    lines = sandbox.lines()
    assert [line.partition(":")[0] for line in lines] == ["dyn.sh", "dyn.yml"]
    assert not proof.exists()


def test_a_folder_with_another_inventory_is_refused_by_name(sandbox, refused):
    sandbox.write("inventory/main/old/hosts.yml", "all: {hosts: {alpha: {ansible_host: 10.9.9.9}}}\n")
    refused("old:1: -: old: Ansible goes down into this folder", "move it out")


def test_a_misspelt_folder_of_variables_is_told_its_name(sandbox, refused):
    (sandbox.inventory / "host_vars").rename(sandbox.inventory / "host_var")
    refused("host_var:1: -: host_var: Ansible goes down", "did you mean host_vars?")


def test_a_plugin_that_finds_hosts_is_refused(sandbox, refused):
    sandbox.write("inventory/main/cloud.yml", "plugin: amazon.aws.aws_ec2\n")
    refused("cloud.yml:1: -: plugin: ", "write the hosts down")


@pytest.mark.parametrize("name", ["README.md", "secrets.yml.example", "hosts.yml.orig", "hosts.yml~", ".hidden"])
def test_documents_that_ansible_passes_over_may_lie_in_the_folder(sandbox, name):
    sandbox.write(f"inventory/main/{name}", "all: {hosts: {ghost: }}\n")
    assert sandbox.lines() == []


def test_hosts_in_json_are_checked_with_their_lines(sandbox, refused):
    (sandbox.root / HOSTS).unlink()
    sandbox.write(
        "inventory/main/hosts.json",
        """{"all": {
  "hosts": {
    "alpha": {"ansible_host": "10.0.0.1"},
    "beta": {"ansible_host": "10.0.0.2", "ansible_prot": 22},
    "gamma": {"ansible_host": "10.0.0.3"}},
  "children": {"database": {"hosts": {"alpha": {}}}, "gpu": {"hosts": {"beta": {}}}, "macs": {"hosts": {"gamma": {}}}}}}
""",
    )
    refused("hosts.json:4: beta: ansible_prot: unknown variable", "did you mean ansible_port?")


@pytest.mark.parametrize("text", ["", "all: {hosts: {}}\n", "all:\n", "# nothing yet\n"])
def test_an_inventory_without_hosts_is_refused_with_that_reason(sandbox, text):
    sandbox.write(HOSTS, text)
    (line,) = sandbox.lines()
    assert "no hosts" in line or "is empty" in line


def test_hosts_without_any_group_are_refused_with_that_reason(sandbox, refused):
    sandbox.write(HOSTS, "all: {hosts: {alpha: {ansible_host: 10.0.0.1}}}\n")
    assert "this inventory has no groups" in refused("inventory/main:1: -: main: ")


@pytest.mark.parametrize("kind", ["text", "dangling"])
def test_a_broken_group_vars_is_one_line_that_names_it(sandbox, refused, kind):
    path = sandbox.inventory / "group_vars"
    path.rename(sandbox.root / "elsewhere")
    if kind == "text":
        path.write_text("../../group_vars")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    refused("group_vars:1: -: group_vars: is ", "remove it")


def test_an_empty_folder_that_hides_a_file_is_refused(sandbox):
    (sandbox.inventory / "group_vars" / "all").mkdir()
    first, *_ = [line for line in sandbox.lines() if "group_vars/all" in line]
    assert "an empty folder, for which Ansible passes over all.yml; remove it" in first


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("database/vault.yml", "database.yml"),
        ("database.yml", "database.yaml"),
        ("database.yml", "database.json"),
        ("database", "database.yml"),
    ],
)
def test_of_two_files_of_one_group_the_one_that_ansible_passes_over_is_refused(sandbox, first, second):
    for name in (second, first):
        sandbox.write(f"inventory/main/group_vars/{name}", "store_mode: fast\n")
    line = next(line for line in sandbox.lines() if "passes over this one" in line)
    assert f"group_vars/{second}" in line


def test_a_second_file_of_a_host_is_not_blamed_on_what_stands_in_it(sandbox):
    sandbox.write("inventory/main/host_vars/alpha/ssh.yml", "store_mode: safe\n")
    assert any(line.startswith("host_vars/alpha.yml:1: -: host_vars/alpha.yml: ") for line in sandbox.lines())


@pytest.mark.parametrize("name", ["alpha", "alpha.json", "alpha.yaml", "alpha/vars", "alpha/vars.json", "alpha/deep/x"])
def test_whatever_ansible_reads_is_checked_with_file_and_line(sandbox, refused, name):
    file = sandbox.inventory / "host_vars" / "alpha.yml"
    text = file.read_text()
    file.unlink()
    if name.endswith("json"):
        text = (
            '{"operating_system": "debian-13", "store_cpus": "2-5",\n"hardware": {"memory_gib": 16, "cpu": '
            '{"model": "x", "performance_cpus": "0-7", "threads_per_core": 2}},\n\n\n\n\n\n\n'
        )
        text += '"store_mdoe": "safe"}\n'
    else:
        text += "store_mdoe: safe\n"
    sandbox.write(f"inventory/main/host_vars/{name}", text)
    line = 9 if name.endswith("json") else 10
    refused(f"host_vars/{name}:{line}: alpha: store_mdoe: ", "did you mean store_mode?")


@pytest.mark.parametrize("name", ["alpha/vars.txt", "alpha/vars.ini", "alpha/sub.d/vars.yml", "alpha/more.conf"])
def test_a_file_inside_a_folder_of_variables_that_ansible_does_not_read_is_refused(sandbox, refused, name):
    (sandbox.inventory / "host_vars" / "alpha").mkdir()
    (sandbox.inventory / "host_vars" / "alpha.yml").rename(sandbox.inventory / "host_vars" / "alpha" / "main.yml")
    sandbox.write(f"inventory/main/host_vars/{name}", "store_mode: safe\n")
    refused(f"host_vars/{name}:1: -: host_vars/{name}: Ansible does not read this file", "endings")


def test_a_file_with_a_second_ending_is_told_the_right_name(sandbox):
    (sandbox.inventory / "host_vars" / "alpha.yml").rename(sandbox.inventory / "host_vars" / "alpha.yml.txt")
    assert any("alpha.yml.txt: no host has this name; rename it to alpha.yml" in line for line in sandbox.lines())


def test_a_link_to_itself_is_refused_by_name(sandbox):
    file = sandbox.inventory / "host_vars" / "alpha.yml"
    file.unlink()
    file.symlink_to("alpha.yml")
    assert any(line.startswith("host_vars/alpha.yml:1:") and "leads nowhere" in line for line in sandbox.lines())


@pytest.mark.parametrize("name", ["group_vars", "host_vars"])
def test_variables_beside_the_playbooks_are_refused(sandbox, name):
    sandbox.write(f"playbooks/{name}/alpha.yml", "store_mode: safe\n")
    assert any(f"playbooks/{name}" in line and "win over" in line for line in sandbox.lines())


def test_a_folder_that_is_not_there_is_refused_with_the_nearest_name(sandbox):
    with pytest.raises(UserError, match=r"no inventory folder; did you mean .*inventory/main\?"):
        Fleet.of(sandbox.root / "inventory" / "mian", sandbox.root)


def test_a_hosts_file_is_refused_with_the_folder_to_give(sandbox):
    with pytest.raises(UserError, match=r"give the folder that it lies in: .*inventory/main$"):
        Fleet.of(sandbox.inventory / "hosts.yml", sandbox.root)


def test_a_folder_without_an_inventory_is_refused(tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "README.md").write_text("soon\n")
    with pytest.raises(UserError, match="no inventory in this folder"):
        Fleet.of(tmp_path, tmp_path)


def test_hosts_that_cannot_be_read_are_refused_before_a_verb_begins(sandbox):
    sandbox.write(HOSTS, "all:\n  hosts: {alpha: \n")
    with pytest.raises(UserError, match=r"hosts\.yml:\d+: .*invalid YAML"):
        Fleet.of(sandbox.inventory, sandbox.root)


def test_an_entry_that_the_walk_let_pass_is_found_by_comparing_with_ansibles_own_load(sandbox, monkeypatch):
    sandbox.write("inventory/main/extra", "[database]\nghost ansible_host=10.0.0.9\n[gpu]\nalpha\n")
    walk = folder.sources
    monkeypatch.setattr(folder, "sources", lambda inventory: (walk(inventory)[0], []))
    lines = sandbox.lines()
    assert any("group database: database: Ansible has alpha, ghost in it" in line for line in lines)
    assert any("group gpu: gpu: Ansible has alpha, beta in it, this check beta" in line for line in lines)


def test_a_file_of_variables_that_the_walk_lost_is_found_by_the_comparison(sandbox, monkeypatch):
    sandbox.write("inventory/main/group_vars/gpu.yml", "boot_port: 99\n")
    walk = folder.vars_files
    monkeypatch.setattr(
        folder, "vars_files", lambda *words: ([file for file in walk(*words)[0] if file.name != "gpu"], [])
    )
    (line,) = sandbox.lines()
    assert line.startswith("group_vars/gpu.yml:1: beta: boot_port: Ansible reads this variable")


def test_a_byte_of_another_encoding_says_so(sandbox):
    (sandbox.inventory / "host_vars" / "alpha.yml").write_bytes("# größe\n".encode("latin-1"))
    (line,) = [line for line in sandbox.lines() if "alpha" in line]
    assert line.startswith("host_vars/alpha.yml:1: -: alpha.yml: is no UTF-8 text: byte 0xf6")


def test_utf_16_says_so(sandbox):
    (sandbox.inventory / "host_vars" / "alpha.yml").write_bytes("store_mode: safe\n".encode("utf-16"))
    assert "alpha.yml: is no UTF-8 text: byte 0xff" in sandbox.lines()[0]


def test_a_healthy_inventory_agrees_with_ansibles_own_load(sandbox):
    assert checks.problems(sandbox.fleet()) == []
