# SPDX-License-Identifier: Apache-2.0
"""A role that does a thing in a way of its own is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.lint import idioms

PREFLIGHT = [{"name": "Refuse", "preflight": None}]


@pytest.fixture
def findings(tmp_path: Path):
    """Return a function that writes a role and returns what the lint says."""

    def run(
        preflight: Any = PREFLIGHT, configure: Any = (), template: str = "", rules: str = "def store_problems(a, b, c):"
    ) -> list[str]:
        folder = tmp_path / "roles/store"
        for name in ("tasks", "templates"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "rules.py").write_text(rules)
        (folder / "tasks/preflight.yml").write_text(yaml.safe_dump(preflight))
        (folder / "tasks/configure.yml").write_text(yaml.safe_dump(list(configure)))
        (folder / "templates/store.service.j2").write_text(template)
        return [str(finding) for finding in idioms.check(tmp_path)]

    return run


def file_set(**entry: Any) -> list[dict[str, Any]]:
    return [{"name": "Write", "file_set": {"name": "store", "files": [entry]}}]


def test_a_role_of_the_common_form_passes(findings) -> None:
    assert findings() == []


def test_a_role_without_its_rule_is_named(findings) -> None:
    (line,) = findings(rules="def other_problems(a, b, c):")
    assert "has no function store_problems" in line


@pytest.mark.parametrize("module", ["ansible.builtin.assert", "ansible.builtin.fail", "assert"])
def test_a_preflight_that_judges_in_another_way_is_named(findings, module: str) -> None:
    (line,) = findings([*PREFLIGHT, {"name": "Refuse more", module: {"that": "x"}}])
    assert '"Refuse more" judges with' in line


def test_a_preflight_that_does_not_begin_with_the_rules_is_named(findings) -> None:
    (line,) = findings([{"name": "Look", "ansible.builtin.command": {"cmd": "true"}}, *PREFLIGHT])
    assert "begins with the task `preflight:`" in line


@pytest.mark.parametrize(
    "task",
    [
        {"name": "Write", "ansible.builtin.template": {"src": "a", "dest": "/b"}},
        {"name": "Write", "ansible.builtin.copy": {"content": "a", "dest": "/b"}},
        {"name": "Write", "ansible.builtin.lineinfile": {"path": "/b", "line": "a"}},
    ],
)
def test_a_file_that_is_written_in_another_way_is_named(findings, task: dict[str, Any]) -> None:
    (line,) = findings(configure=[task])
    assert "write it with file_set" in line


def test_a_binary_may_be_copied_and_the_control_machine_is_left_alone(findings) -> None:
    copy = {"name": "Ship", "ansible.builtin.copy": {"src": "a.jar", "dest": "/b"}}
    here = {"name": "Note", "ansible.builtin.copy": {"content": "a", "dest": "/b"}, "delegate_to": "localhost"}
    assert findings(configure=[copy, here]) == []


@pytest.mark.parametrize(("path", "mode", "wrong"), [("/opt/x/run", "0755", 1), ("/opt/x/run", "0640", 0)])
def test_a_program_has_one_place(findings, path: str, mode: str, wrong: int) -> None:
    assert len(findings(configure=file_set(path=path, mode=mode, content="x"))) == wrong
    assert findings(configure=file_set(path="/usr/local/libexec/fleet/x", mode="0755", content="x")) == []


def test_a_sandbox_that_is_typed_out_and_another_word_of_truth_are_named(findings) -> None:
    lines = ["LockPersonality=yes", *(f"{name}=true" for name in ("NoNewPrivileges", "PrivateTmp", "ProtectClock"))]
    lines += ["ProtectHome=true", "ProtectHostname=true", "RemoveIPC=true", "PrivateDevices=true"]
    found = findings(template="[Service]\n" + "\n".join(lines) + "\n")
    assert len(found) == 2
    assert any("types 8 lines of a sandbox" in line for line in found)
    assert any("LockPersonality=yes; a truth is written true or false" in line for line in found)


def test_a_role_that_knows_of_the_command_lines_dry_run_alone_is_named(findings) -> None:
    task = {"name": "Apply", "store_apply": None, "when": "not ansible_check_mode"}
    (line,) = findings(configure=[task])
    assert line.startswith("roles/store/tasks/configure.yml: asks ansible_check_mode")
    assert findings(configure=[task | {"when": "not dry_run"}]) == []
