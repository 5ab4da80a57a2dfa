# SPDX-License-Identifier: Apache-2.0
"""The actions of the control machine, in plays on this machine: preflight, and file_set with its templates."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fleet.paths import PROJECT, VENV_BIN

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  roles: [demo]
"""
LOOK = """#!/usr/bin/python3
print('{"changed": false, "missing": [WORDS]}')
"""


@pytest.fixture
def play(tmp_path: Path):
    """Return a function that runs a role with the given tasks and returns status and output."""

    def run(tasks: str, *words: str, files: dict[str, str] | None = None) -> tuple[int, str]:
        for name, text in {"tasks/main.yml": tasks, **(files or {})}.items():
            target = tmp_path / "roles/demo" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        (tmp_path / "play.yml").write_text(PLAY)
        environment = os.environ | {
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(tmp_path / "roles"),
        }
        command = [str(VENV_BIN / "ansible-playbook"), "-i", "localhost,", str(tmp_path / "play.yml"), *words]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_preflight_refuses_a_host_in_one_line_a_problem_and_in_check_mode_too(play) -> None:
    tasks = "- preflight: {problems: ['disk full', 'no CPU 9']}\n"
    for words in ([], ["--check"]):
        status, out = play(tasks, *words)
        assert status == 2
        assert "demo: disk full\n" in out
        assert "demo: no CPU 9\n" in out


def test_preflight_without_problems_changes_nothing(play) -> None:
    status, out = play("- preflight: {problems: []}\n- preflight:\n")
    assert status == 0
    assert "changed=0" in out


def test_not_even_all_details_of_a_run_show_a_secret(play, tmp_path: Path) -> None:
    owner = f"owner: {tmp_path.owner()}, group: {tmp_path.group()}"
    tasks = f"- file_set: {{name: demo, files: [{{path: {tmp_path}/key, content: hunter2, secret: true, {owner}}}]}}\n"
    status, out = play(tasks, "-vvv", "--diff")
    assert status == 0, out
    assert (tmp_path / "key").read_text() == "hunter2"
    assert "hunter2" not in out


def test_file_set_writes_templates_and_files_of_the_role_and_hides_a_secret(play, tmp_path: Path) -> None:
    tasks = f"""
- file_set:
    name: demo
    files:
      - {{path: {tmp_path}/out, directory: true, mode: "0700"}}
      - {{path: {tmp_path}/out/a, template: a.j2, vars: {{what: world}}}}
      - {{path: {tmp_path}/out/b, src: b.txt, mode: "0600", secret: true}}
"""
    files = {"templates/a.j2": "hello {{ what }} of {{ inventory_hostname }}\n", "files/b.txt": "hunter2\n"}
    status, out = play(tasks, "--diff", files=files)
    assert status == 0, out
    assert (tmp_path / "out/a").read_text() == "hello world of localhost\n"
    assert (tmp_path / "out/b").read_text() == "hunter2\n"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert "hello world of localhost" in out
    assert "hunter2" not in out
    assert "changed=0" in play(tasks, files=files)[1]


def test_an_entry_with_two_sources_is_refused(play, tmp_path: Path) -> None:
    tasks = f"- file_set: {{name: demo, files: [{{path: {tmp_path}/x, template: a.j2, src: b}}]}}\n"
    status, out = play(tasks)
    assert status == 2
    assert "give one of content, template, src, link and directory" in out


@pytest.mark.parametrize(("missing", "status"), [("", 0), ('"unheard-of-package"', 2)])
def test_apt_is_run_only_when_something_is_missing(
    play, tmp_path: Path, monkeypatch, missing: str, status: int
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "packages.py").write_text(LOOK.replace("WORDS", missing))
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(library))
    # A dry run of apt says at once that there is no such package, or that this machine has no apt.
    got, out = play("- packages: {name: [unheard-of-package]}\n", "--check")
    assert got == status, out
    assert ("- unheard-of-package" in out) == (status == 2)
