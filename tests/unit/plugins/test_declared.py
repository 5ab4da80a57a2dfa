# SPDX-License-Identifier: Apache-2.0
"""The lookup gives a play what the fleet model gives a check."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from fleet.model.model import Fleet
from fleet.paths import PROJECT, VENV_BIN

INVENTORY = PROJECT / "inventory" / "production"
EXAMPLE = PROJECT / "inventory" / "secrets.yml.example"
PLAYBOOK = """
- hosts: {host}
  gather_facts: false
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ {expression} | to_json }}}}"
        dest: {target}
        mode: "0600"
      delegate_to: localhost
      vars: {{ansible_connection: local}}
"""


@pytest.fixture
def looked_up(tmp_path):
    """Return a function that evaluates an expression in a play on a host and returns the result or the output."""

    def run(host: str, expression: str, *words: str):
        playbook, target = tmp_path / "play.yml", tmp_path / "out.json"
        playbook.write_text(PLAYBOOK.format(host=host, expression=expression, target=target))
        command = [str(VENV_BIN / "ansible-playbook"), "-i", str(INVENTORY / "hosts.yml"), str(playbook), *words]
        environment = os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        return json.loads(target.read_text()) if done.returncode == 0 else done.stdout + done.stderr

    return run


def test_without_hosts_it_tells_about_the_current_host(looked_up):
    fleet = Fleet.load(INVENTORY, PROJECT, EXAMPLE)
    assert looked_up("station", "lookup('declared', 'sysctl')") == {"station": fleet.declared("sysctl", "station")}


def test_with_hosts_it_leaves_out_those_without_roles(looked_up):
    fleet = Fleet.load(INVENTORY, PROJECT, EXAMPLE)
    found = looked_up("station", "lookup('declared', 'sysctl', hosts=groups['all'])")
    assert set(found) == {host for host in fleet.hosts if fleet.roles(host)}
    assert "macmini" not in found


def test_extra_variables_win(looked_up):
    found = looked_up("station", "lookup('declared', 'sysctl')", "-e", '{"redis_sysctl": {"vm.swappiness": 7}}')
    assert found["station"]["redis"] == {"vm.swappiness": 7}


def test_a_call_without_a_noun_is_refused(looked_up):
    assert "takes one noun" in looked_up("station", "lookup('declared')")


def test_a_value_that_cannot_be_rendered_names_host_and_variable(looked_up):
    output = looked_up("station", "lookup('declared', 'sysctl')", "-e", '{"redis_sysctl": "{{ not_there }}"}')
    assert "station" in output
    assert "redis_sysctl" in output
