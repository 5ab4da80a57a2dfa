# SPDX-License-Identifier: Apache-2.0
"""Lookup `declared`: what the roles of a host say of one subject, such as their sysctl keys or scrape targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from fleet.model.project import Project
from fleet.model.settings import UnrenderableError
from fleet.model.view import Running

DOCUMENTATION = """
name: declared
author: the maintainers of this repository
short_description: Collect one variable of all roles of a host
description:
  - Returns a dict of hosts; each host has a dict of the roles that C(playbooks/site.yml) applies to it
    and whose argument specification has the option C(<role>_<noun>), with the value of that variable on that host.
  - Values come from the inventory over the roles' defaults. Hosts without roles are left out.
options:
  _terms:
    description: The noun, that is the variable's name without the role's, such as C(sysctl) for C(redis_sysctl).
    required: true
  hosts:
    description: Hosts to ask; the current host when not given.
    type: list
    elements: str
  of:
    description: One role, whose value on the current host is returned alone. No other role is read.
    type: str
"""

EXAMPLES = """
- name: Show the kernel parameters that the roles of this host need
  ansible.builtin.debug:
    msg: "{{ lookup('declared', 'sysctl')[inventory_hostname] }}"

- name: Show the group that may open the event bus's socket
  ansible.builtin.debug:
    msg: "{{ lookup('declared', 'group', of='redis') }}"

- name: Show every scrape target of the fleet
  ansible.builtin.debug:
    msg: "{{ lookup('declared', 'scrape', hosts=groups['all']) }}"
"""

RETURN = """
_raw:
  description: One dict, host -> role -> value.
  type: list
  elements: dict
"""

PROJECT = Path(__file__).resolve().parents[2]


class LookupModule(LookupBase):
    """Ansible's entry point."""

    def run(self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return [{host: {role: value}}]."""
        self.set_options(var_options=variables, direct=kwargs)
        if len(terms) != 1 or variables is None:
            raise AnsibleError("lookup('declared', ...) takes one noun, such as 'sysctl'")
        project = Project(PROJECT, self._loader)
        fleet = Running(project, variables, self._loader)
        try:
            owner = self.get_option("of")
            if owner:
                settings = fleet.settings_over(str(variables["inventory_hostname"]), [owner])
                return [settings[f"{owner}_{terms[0]}"]]
            hosts = self.get_option("hosts") or [variables["inventory_hostname"]]
            return [{str(host): fleet.declared(terms[0], str(host)) for host in hosts if fleet.roles(str(host))}]
        except UnrenderableError as error:
            raise AnsibleLookupError(f"declared {terms[0]}: {error}") from error
        except KeyError as error:
            raise AnsibleLookupError(
                f"no role declares {error}: it is misspelt, or its owner has another name"
            ) from error
