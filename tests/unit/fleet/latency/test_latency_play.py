# SPDX-License-Identifier: Apache-2.0
"""What the play does around a measurement; Ansible itself carries the tasks out, on hosts that are this machine."""

import json
import os
import subprocess
from typing import Any

import yaml

from fleet.paths import PROJECT, VENV_BIN

TOOLS, MEASURE = yaml.safe_load((PROJECT / "playbooks/latency.yml").read_text())
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
ALWAYS = [{"days": DAYS, "from": "00:00", "until": "23:59", "timezone": "Etc/UTC"}]
ALWAYS += [ALWAYS[0] | {"from": "12:00", "until": "11:59"}]


SETTINGS = {
    "latency_run": "now",
    "latency_run_force": False,
    "latency_run_limit": 600,
    "latency_run_peer": "",
    "latency_run_seconds": 60,
    "latency_port": 18111,
    "latency_repetitions": 3,
}


def carried_out(folder, hosts: dict[str, Any], tasks: list[dict[str, Any]], **told: Any) -> str:
    """Return Ansible's words about tasks, run as the play that measures runs them."""
    told = SETTINGS | told
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    (folder / "hosts.yml").write_text(yaml.dump({"all": {"hosts": hosts, "vars": local}}))
    play = {"hosts": f"all:!{told['latency_run_peer'] or 'nobody'}", "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.dump([play | {"vars": MEASURE["vars"]}]))
    command = [VENV_BIN / "ansible-playbook", "-i", folder / "hosts.yml", folder / "play.yml", "-e", json.dumps(told)]
    environment = os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False).stdout


def said(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task that prints the words of the command that another one runs."""
    return {"name": task["name"], "ansible.builtin.debug": {"msg": task["ansible.builtin.command"]["argv"]}}


def test_each_host_is_asked_for_its_trading_hours_right_before_its_own_measurement(tmp_path):
    assert MEASURE["serial"] == 1
    words = carried_out(tmp_path, {"free": {}, "busy": {"trading_windows": ALWAYS}}, MEASURE["pre_tasks"])
    assert "ok: [free]" in words
    assert "busy trades, or would before this ends" in words


def test_a_host_is_not_measured_in_the_trading_hours_of_its_peer(tmp_path):
    hosts = {"free": {}, "busy": {"trading_windows": ALWAYS}}
    words = carried_out(tmp_path, hosts, MEASURE["pre_tasks"], latency_run_peer="busy")
    assert "failed=1" in words
    assert "busy trades, or would before this ends" in words


def test_the_trading_hours_of_all_are_asked_before_anything_changes():
    assert TOOLS["pre_tasks"] == MEASURE["pre_tasks"]


def test_the_runner_is_told_which_cpus_each_side_leaves_empty(tmp_path):
    (block,) = (task["block"] for task in MEASURE["tasks"] if "block" in task)
    tasks = [said(next(task for task in MEASURE["tasks"] if task["name"] == "Start")), said(block[0])]
    idle = {"a": "3,5", "b": "7", "c": ""}
    hosts = {name: {"ansible_host": "h", "cpu_sets": {"idle": text}} for name, text in idle.items()}
    words = carried_out(tmp_path, hosts, tasks, latency_run_peer="b")
    assert words.count("- --idle=3,5\n") == 1
    assert words.count("- --idle=\n") == 1
    assert words.count("- --idle=7\n") == 2  # the peer of both


def test_every_file_of_the_runner_is_installed_where_it_finds_the_others():
    files = yaml.safe_load((PROJECT / "roles/latency/tasks/install.yml").read_text())[-1]["file_set"]["files"]
    installed = {file["src"]: file["path"].removeprefix("/usr/local/libexec/fleet/") for file in files}
    assert installed == {
        "cpu_lists.py": "cpu_lists.py",
        "latency_plan.py": "latency_plan.py",
        "latency_run.py": "latency-run",
    }
