# SPDX-License-Identifier: Apache-2.0
"""Action `preflight`: refuse before anything changes, in the same lines as the inventory check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from fleet.check.roles import located
from fleet.model.model import Fleet
from fleet.model.problems import merged
from fleet.model.project import Project
from fleet.model.rules import Refusal, asked, rule_of
from fleet.model.view import Running

DOCUMENTATION = r"""
name: preflight
short_description: Refuse settings or a host that a role cannot work with
description:
  - Without arguments, asks the rules of its role (roles/<role>/rules.py) about the variables of this host.
  - With C(problems), refuses a host for what was found on it.
  - It changes nothing and does not connect. What it refuses is said in one line each.
options:
  problems:
    description: What is wrong with this host, one line each; empty when nothing is.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Refuse settings that cannot work
  preflight:

- name: Refuse a host without room
  preflight:
    problems: "{{ __redis_state_result.stdout | from_yaml | redis_host_problems(redis_data_path, ...) }}"
"""

PROJECT = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"problems"})

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return failed with all lines, or ok."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        role = self._task._role.get_name()
        if "problems" in self._task.args:
            lines = [f"{role}: {line}" for line in self._task.args["problems"]]
        else:
            lines = list(_refused(role, _Variables(variables, self._templar), variables, self._loader))
        result["changed"] = False
        if lines:
            result["failed"] = True
            result["msg"] = "\n".join(lines)
        return result


class _Variables(Mapping[str, Any]):
    """The task's variables, rendered when they are read."""

    def __init__(self, variables: Mapping[str, Any], templar: Any) -> None:
        self._variables = variables
        self._templar = templar

    def __getitem__(self, key: str) -> Any:
        return self._templar.template(self._variables[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def _refused(role: str, known: Mapping[str, Any], variables: Mapping[str, Any], loader: DataLoader) -> Iterator[str]:
    rule = rule_of(PROJECT, role)
    if rule is None:
        return
    project = Project(PROJECT, loader)
    options = {**project.inventory_options, **project.role(role).options}
    refusals = list(asked(rule, known, options, Running(project, variables, loader)))
    if refusals:
        yield from _lines(refusals, variables)


def _lines(refusals: list[Refusal], variables: Mapping[str, Any]) -> Iterator[str]:
    """Yield each refusal as the inventory check says it; the inventory is read only now that something is wrong."""
    host, folder = str(variables["inventory_hostname"]), variables.get("inventory_dir")
    fleet = Fleet.load(Path(str(folder)), PROJECT) if folder else None
    if fleet is None or host not in fleet.hosts:
        yield from (f"{host}: {refusal}" for refusal in refusals)
        return
    for problem in merged(located(fleet, host, refusal) for refusal in refusals):
        yield problem.text(PROJECT)
