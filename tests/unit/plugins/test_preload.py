# SPDX-License-Identifier: Apache-2.0
"""preload: what the tasks of a run share is loaded once, and they may use every processor."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fleet.paths import PROJECT, VENV_BIN
from fleet.run import mitogen

FILTER = """
import os, pathlib
with pathlib.Path(__file__).with_name("loads").open("a") as file:
    file.write(f"{os.getpid()}\\n")
class FilterModule:
    def filters(self):
        return {"shout": str.upper}
"""
PLAY = """
- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "{{ 'one' | shout }}"}
    - ansible.builtin.debug: {msg: "{{ 'two' | shout }} on {{ lookup('pipe', 'nproc') }}"}
"""


def run(folder: Path, **more: str) -> str:
    (folder / "filters").mkdir()
    (folder / "filters/shout.py").write_text(FILTER)
    (folder / "play.yml").write_text(PLAY)
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_FILTER_PLUGINS": str(folder / "filters"),
        **more,
    }
    command = [str(VENV_BIN / "ansible-playbook"), "-i", "a,b,c,", str(folder / "play.yml")]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_filter_is_loaded_once_for_all_tasks_and_hosts(tmp_path: Path) -> None:
    assert run(tmp_path).count("ONE") == 3
    assert len((tmp_path / "filters/loads").read_text().splitlines()) == 1


@pytest.mark.parametrize("faster", [{}, mitogen.variables()], ids=["plain", "mitogen"])
def test_a_task_may_use_every_processor(tmp_path: Path, faster: dict[str, str]) -> None:
    assert run(tmp_path, **faster).count(f"TWO on {len(os.sched_getaffinity(0))}") == 3
