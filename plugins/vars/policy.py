# SPDX-License-Identifier: Apache-2.0
"""Vars plugin `policy`: the project's group_vars lie under those of every inventory, wherever the inventory lies."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ansible.inventory.group import Group
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.vars.host_group_vars import VarsModule as HostGroupVars
from ansible.utils.vars import combine_vars

DOCUMENTATION = """
name: policy
short_description: The folders group_vars and host_vars of an inventory, over the project's group_vars
description:
  - Stands in for C(host_group_vars). For an inventory, the group_vars of the project count too.
  - What the inventory says of C(all) wins over what the project says of C(all).
  - What the inventory says of any other group wins over what the project says of any group.
  - An inventory whose folder group_vars is a link to the project's reads it once.
options:
  stage:
    ini: [{key: stage, section: vars_policy}]
    env: [{name: ANSIBLE_VARS_PLUGIN_STAGE}]
extends_documentation_fragment: [vars_plugin_staging]
"""

PROJECT = Path(__file__).resolve().parents[2]


class VarsModule(HostGroupVars):
    """Ansible's entry point."""

    def get_vars(self, loader: DataLoader, path: str, entities: Any, cache: bool = True) -> dict[str, Any]:
        """Return the variables of groups and hosts beside an inventory or a playbook."""
        folder, base = str(path), str(loader.get_basedir())
        if _is_project(folder):
            return {}  # Ansible was started here without a play, and would let the policy win as what lies beside one
        own: dict[str, Any] = super().get_vars(loader, path, entities, cache)
        project = _project_under(folder, base)
        listed = entities if isinstance(entities, list) else [entities]
        groups = [entity for entity in listed if isinstance(entity, Group)]
        if project is None or not groups:
            return own
        return dict(combine_vars(super().get_vars(loader, project, groups, cache), own))


# Asked for each host and task.
@cache
def _is_project(folder: str) -> bool:
    return Path(folder).resolve() == PROJECT


@cache
def _project_under(folder: str, base: str) -> str | None:
    """Return the project whose policy counts under what lies in a folder; None where none does.

    Args:
        folder: beside which group_vars may lie.
        base: the play's folder, or the one in which Ansible was started without a play.
    """
    if Path(folder) == Path(base):
        return None  # what lies beside a playbook would win over the inventory
    project = Path(base).parent if Path(base).name == "playbooks" else PROJECT
    linked = (project / "group_vars").resolve() == (Path(folder) / "group_vars").resolve()
    return None if linked else str(project)
