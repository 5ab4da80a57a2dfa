# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests that run plays against the lab."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.model.named import PASSWORD_FILE
from fleet.paths import LAB_INVENTORY, PROJECT, VENV_BIN
from fleet.run import mitogen

FACTS = ["!all", "!min", "distribution", "platform", "python", "service_mgr", "user", "virtual"]


@dataclass(frozen=True)
class PlayResult:
    """What a play came to: ansible-playbook's exit status and its words."""

    rc: int
    out: str


@pytest.fixture(autouse=True, scope="session")
def _plain_ansible() -> Iterator[None]:
    """Run every test with the project's settings only: what started pytest may force colours or a strategy."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
            patch.delenv(name)
        patch.setenv("ANSIBLE_CONFIG", str(PROJECT / "ansible.cfg"))
        patch.setenv("ANSIBLE_NOCOLOR", "1")
        if (LAB_INVENTORY / PASSWORD_FILE).exists():
            patch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(LAB_INVENTORY / PASSWORD_FILE))
        yield


@pytest.fixture
def inventory() -> Path:
    """Return the inventory that the plays use; a folder of tests may have another one."""
    return LAB_INVENTORY


@pytest.fixture
def play(tmp_path: Path, inventory: Path) -> Callable[..., PlayResult]:
    """Return `play(role, host, check=False, tasks=None, **extra_vars)`: one role, or tasks instead, on one host."""

    def run(
        role: str, host: str, check: bool = False, tasks: list[dict[str, Any]] | None = None, **extra_vars: Any
    ) -> PlayResult:
        playbook = tmp_path / f"{role}.yml"
        content: dict[str, Any] = {"name": f"Apply {role}", "hosts": host, "become": True, "gather_subset": FACTS}
        content |= {"tasks": tasks} if tasks else {"roles": [role]}
        playbook.write_text(yaml.safe_dump([content], sort_keys=False))
        command = [str(VENV_BIN / "ansible-playbook"), "-i", str(inventory), str(playbook)]
        command += ["--extra-vars", json.dumps(extra_vars)] if extra_vars else []
        command += ["--check", "--diff"] if check else []
        environment = os.environ | mitogen.variables()
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        return PlayResult(done.returncode, done.stdout + done.stderr)

    return run


@pytest.fixture
def refusals(play: Callable[..., PlayResult], tmp_path: Path) -> Callable[..., list[str]]:
    """Return `refusals(role, host, cases)`: what the role says to each mapping of variables, "" if it refuses nothing.

    One play for all, because most of a play's time goes by before its first task. It has to change nothing, unless
    some of the cases are allowed to, and prints none of the words that are `hidden`.
    """

    def run(
        role: str, host: str, cases: Sequence[Mapping[str, Any]], may_change: bool = False, hidden: Sequence[str] = ()
    ) -> list[str]:
        said = tmp_path / "said.json"
        tasks: list[dict[str, Any]] = []
        for case in cases:
            apply = {"name": "Apply", "ansible.builtin.include_role": {"name": role}, "vars": dict(case)}
            tasks += [
                {"name": "Try", "block": [apply, _note("")], "rescue": [_note("{{ ansible_failed_result | to_json }}")]}
            ]
        save = {"content": "{{ said | to_json }}", "dest": str(said), "mode": "0600"}
        tasks += [
            {
                "name": "Save",
                "ansible.builtin.copy": save,
                "delegate_to": "localhost",
                "become": False,
                "changed_when": False,
            }
        ]
        result = play(role, host, tasks=tasks)
        assert result.rc == 0, result.out
        assert not [word for word in hidden if word in result.out]
        assert may_change or "changed=0" in result.out, result.out
        return [json.loads(words)["msg"] if words else "" for words in json.loads(said.read_text())]

    return run


def _note(words: str) -> dict[str, Any]:
    return {
        "name": "Note",
        "ansible.builtin.set_fact": {"said": "{{ said | default([]) + [words] }}"},
        "vars": {"words": words},
    }
