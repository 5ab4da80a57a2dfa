# SPDX-License-Identifier: Apache-2.0
"""Lookup `inventory_problems`: the inventory check, asked inside a run, with what that run has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

from fleet import check
from fleet.model import vault
from fleet.model.model import Given

DOCUMENTATION = """
name: inventory_problems
author: the maintainers of this repository
short_description: Check the inventories of this run
description:
  - Returns the lines that C(make check-inventory) prints, for the sources of the run that asks.
  - The list is empty when nothing is wrong.
  - The run's own passwords of the vault and its own variables (-e) count, those of another run do not.
options: {}
"""

EXAMPLES = """
- name: Show what is wrong with the inventory
  ansible.builtin.debug:
    msg: "{{ query('inventory_problems') }}"
"""

RETURN = """
_raw:
  description: One line a problem.
  type: list
  elements: str
"""

PROJECT = Path(__file__).resolve().parents[2]


class LookupModule(LookupBase):
    """Ansible's entry point."""

    def run(self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the lines."""
        if terms or kwargs or variables is None:
            raise AnsibleError("query('inventory_problems') takes nothing")
        given = Given(vault.of_this_process() or (), load_extra_vars(self._loader))
        sources = [Path(str(source)) for source in variables["ansible_inventory_sources"]]
        return check.lines([source for source in sources if not _molecules_own(source)], PROJECT, given)


def _molecules_own(source: Path) -> bool:
    """Tell whether Molecule has added this source to the run: it has variables of Molecule and no host."""
    folder = os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY")
    return bool(folder) and source.is_relative_to(str(folder))
