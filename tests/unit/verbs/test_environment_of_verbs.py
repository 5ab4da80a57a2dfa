# SPDX-License-Identifier: Apache-2.0
"""What the caller's shell says of Ansible, Python and languages decides nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

FOREIGN = {
    "ANSIBLE_CONFIG": "/nowhere/ansible.cfg",
    "ANSIBLE_ROLES_PATH": "/nowhere",
    "ANSIBLE_STDOUT_CALLBACK": "minimal",
    "ANSIBLE_INVENTORY": "/nowhere/hosts",
    "PYTHONPATH": "/nowhere",
    "PYTHONWARNINGS": "error",
    "VIRTUAL_ENV": "/nowhere/venv",
    "CONDA_PREFIX": "/nowhere/conda",
    "PYTEST_ADDOPTS": "--collect-only",
    "LC_ALL": "C",
    "LANG": "xx_YY.ISO-8859-1",
}


def test_ansible_gets_the_projects_configuration_and_a_language_it_can_read(typed, clone: Path):
    environment = typed("check", environment=FOREIGN).environment
    assert environment["ANSIBLE_CONFIG"] == str(clone / "ansible.cfg")
    assert environment["LC_ALL"] == "C.UTF-8"
    assert {name for name in FOREIGN if environment.get(name) == FOREIGN[name]} == set()


@pytest.mark.parametrize("name", ["ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST", "SSH_AUTH_SOCK"])
def test_what_opens_the_vault_and_the_hosts_is_kept(typed, name):
    # No inventory with a vault of its own: the file is not read before Ansible starts.
    assert (
        typed("check", "INVENTORY=inventory/vm", environment={name: "/some/place"}).environment[name] == "/some/place"
    )


def test_a_clone_that_was_moved_is_set_up_again(typed, clone: Path):
    stamp = clone / ".venv/installed"
    whole = stamp.read_text()
    try:
        stamp.write_text(whole.replace("clone", "other clone"))
        outcome = typed("check")
    finally:
        stamp.write_text(whole)
    assert "set up again" in outcome.output
    assert (outcome.status, outcome.calls) == (2, [])
