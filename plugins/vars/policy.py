# SPDX-License-Identifier: Apache-2.0
"""Vars plugin `policy`: the project's group_vars lie under those of every inventory, wherever the inventory lies."""

from __future__ import annotations

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
        base, folder = Path(loader.get_basedir()), Path(path).resolve()
        if folder == PROJECT:
            return {}  # Ansible was started here without a play, and would let the policy win as what lies beside one
        own: dict[str, Any] = super().get_vars(loader, path, entities, cache)
        groups = [entity for entity in (entities if isinstance(entities, list) else [entities]) if _is_group(entity)]
        if not groups or Path(path) == base:  # beside a playbook it would win over the inventory
            return own
        project = base.parent if base.name == "playbooks" else PROJECT
        if (project / "group_vars").resolve() == (folder / "group_vars").resolve():
            return own
        policy: dict[str, Any] = super().get_vars(loader, str(project), groups, cache)
        return dict(combine_vars(policy, own))


def _is_group(entity: object) -> bool:
    return isinstance(entity, Group)
