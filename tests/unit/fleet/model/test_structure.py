# SPDX-License-Identifier: Apache-2.0
"""The shape of a hosts file: what Ansible would pass over with a warning is refused with its line."""

from __future__ import annotations

import pytest
from ansible.utils.display import Display

from fleet.model.model import Fleet

HOSTS = "inventory/main/hosts.yml"


@pytest.mark.parametrize(
    ("old", "new", "start", "words"),
    [
        ("children:", "childrens:", "hosts.yml:6: group all: childrens: ", ("did you mean children?",)),
        ("  hosts:\n", "  hots:\n", "hosts.yml:2: group all: hots: ", ("did you mean hosts?",)),
        (
            "database: {hosts: {alpha: }}",
            "database: {alpha: }",
            "hosts.yml:7: group database: alpha: ",
            ("hosts stand below hosts:",),
        ),
        (
            "database: {hosts: {alpha: }}",
            "database: {hosts: {alpha: }, store_port: 6379}",
            "hosts.yml:7: group database: store_port: ",
            ("variables below vars: of database",),
        ),
        (
            "database: {hosts: {alpha: }}",
            "database: {hosts: [alpha]}",
            "hosts.yml:7: group database: hosts: ",
            ("a list",),
        ),
        ("database: {hosts: {alpha: }}", "database: alpha", "hosts.yml:7: group database: database: ", ("a text",)),
        ("database: {hosts: {alpha: }}", "database: [alpha]", "hosts.yml:7: group database: database: ", ("a list",)),
        (
            "database: {hosts: {alpha: }}",
            "data-base: {hosts: {alpha: }}",
            "hosts.yml:7: group data-base: ",
            ("no name",),
        ),
        ("{ansible_host: 10.0.0.2}", "10.0.0.2", "hosts.yml:4: beta: beta: ", ("variables of a host",)),
        ("alpha: {ansible_host", '"box[03:01]": {ansible_host', "hosts.yml:3: -: box[03:01]: ", ("counts down",)),
        ("alpha: {ansible_host", '"box[a:1]": {ansible_host', "hosts.yml:3: -: box[a:1]: ", ("no range",)),
        ("{hosts: {alpha: }}", "{hosts: {yes: }}", "hosts.yml:7: -: True: ", ("yes or no", "quotes")),
        (
            "{hosts: {beta: }}",
            "{hosts:\n          beta\n          gamma\n    }",
            "hosts.yml:8: group gpu: hosts: ",
            ("colon",),
        ),
        ("    gpu:", "    all: {hosts: {alpha: }}\n    gpu:", "hosts.yml:", ("all",)),
    ],
)
def test_what_ansible_passes_over_is_refused_at_its_line(sandbox, old, new, start, words):
    sandbox.replace(HOSTS, old, new)
    lines = sandbox.lines()
    assert lines
    assert lines[0].startswith(start), lines
    assert all(word in lines[0] for word in words), lines


def test_nothing_else_is_said_until_hosts_and_groups_can_be_read(sandbox):
    sandbox.replace(HOSTS, "children:", "childrens:")
    assert len(sandbox.lines()) == 1


def test_groups_in_a_loop_are_refused_with_ansibles_reason(sandbox):
    sandbox.replace(HOSTS, "gpu: {hosts: {beta: }}", "gpu: {children: {database: {children: {gpu: }}}}")
    lines = sandbox.lines()
    assert lines[0].startswith("hosts.yml:")
    assert "loop" in lines[0].lower() or "recursive" in lines[0].lower()


@pytest.mark.parametrize("name", ["all", "database"])
def test_a_host_with_the_name_of_a_group_is_refused(sandbox, name):
    sandbox.replace(HOSTS, "alpha: {ansible_host", f"{name}: {{ansible_host")
    lines = sandbox.lines()
    assert any(f"hosts.yml:3: {name}: {name}: a group has this name too" in line for line in lines)


@pytest.mark.parametrize("text", ["- alpha\n", "alpha\n", "5\n", "true\n", "all: 5\n", "all: [1]\n", "[[]]\n"])
def test_a_document_of_another_shape_is_one_line_and_no_traceback(sandbox, text):
    sandbox.write(HOSTS, text)
    lines = sandbox.lines()
    assert len(lines) == 1
    assert lines[0].startswith("hosts.yml:")


def test_a_warning_of_ansible_is_a_problem(sandbox, monkeypatch, capsys):
    parse = type(Fleet.load(sandbox.inventory, sandbox.root)._manager).parse_source

    def with_a_word(manager, source, cache=False):
        Display().warning("Something about this file is odd")
        return parse(manager, source, cache)

    monkeypatch.setattr("ansible.inventory.manager.InventoryManager.parse_source", with_a_word)
    assert any("hosts.yml:1: -: hosts.yml: Something about this file is odd" in line for line in sandbox.lines())
    assert "odd" not in capsys.readouterr().err
