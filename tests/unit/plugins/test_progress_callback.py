# SPDX-License-Identifier: Apache-2.0
"""What a real run of Ansible tells a program: which files differ and how, where a host is away, and no secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet.paths import VENV_BIN
from fleet.run import follow

HOSTS = """
all:
  hosts:
    here: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}
    gone: {ansible_host: 127.0.0.1, ansible_port: 9, ansible_user: nobody}
"""
PLAY = """
- name: "Data: files"
  hosts: all
  gather_facts: false
  tasks:
    - name: Reach everybody
      ansible.builtin.command: "true"
      changed_when: false
    - name: One
      ansible.builtin.copy: {content: "new\\n", dest: FOLDER/one, mode: "0644"}
    - name: Many
      ansible.builtin.copy: {content: "new\\n", dest: "FOLDER/{{ item }}", mode: "0644"}
      loop: [two, three]
    - name: A secret
      ansible.builtin.copy: {content: "very-secret\\n", dest: FOLDER/secret, mode: "0600"}
      no_log: true
    - name: Its difference alone is one
      ansible.builtin.copy: {content: "very-secret\\n", dest: FOLDER/other, mode: "0600"}
      diff: false
    - name: Nothing
      ansible.builtin.file: {path: FOLDER, state: directory}
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[Mapping[str, Any]]:
    folder = tmp_path_factory.mktemp("callback")
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "play.yml").write_text(PLAY.replace("FOLDER", str(folder)))
    (folder / "one").write_text("old\n")
    told: list[Mapping[str, Any]] = []
    view = follow.View(lambda event: told.append(event) or [], lambda: "")  # type: ignore[func-returns-value]
    words = [str(VENV_BIN / "ansible-playbook"), "-i", str(folder / "hosts.yml"), str(folder / "play.yml")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    assert follow.run([*words, "--check", "--diff"], clean, folder / "log", view, verbose=False) == 4
    return told


def of(events: list[Mapping[str, Any]], task: str) -> Mapping[str, Any]:
    (event,) = [one for one in events if one.get("task") == task and one["event"] == "ok"]
    return event


def test_a_change_names_its_file_and_how_it_differs(events):
    event = of(events, "One")
    assert event["changed"]
    assert [Path(name).name for name in event["files"]] == ["one"]
    assert "-old\n+new" in event["diff"]


def test_the_items_of_a_task_are_told_with_it(events):
    event = of(events, "Many")
    assert [Path(name).name for name in event["files"]] == ["two", "three"]
    assert event["diff"].count("+new") == 2


def test_no_secret_is_told_and_no_older_difference_in_its_place(events):
    for task in ("A secret", "Its difference alone is one"):
        assert of(events, task)["changed"]
        assert not of(events, task).get("diff")
    assert "very-secret" not in str(events)


def test_what_changes_nothing_has_no_difference(events):
    assert {"files", "diff"} & of(events, "Nothing").keys() == set()


def test_a_host_that_does_not_answer_is_told_with_its_place(events):
    (event,) = [one for one in events if one["event"] == "unreachable"]
    assert (event["host"], event["address"]) == ("gone", "127.0.0.1 port 9")
