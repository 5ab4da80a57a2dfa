# SPDX-License-Identifier: Apache-2.0
"""Lookup `declared`: what the roles of a host say of one subject, such as their sysctl keys or scrape targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from fleet.model.project import Project
from fleet.model.settings import Settings, UnrenderableError, declared

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
"""

EXAMPLES = """
- name: Show the kernel parameters that the roles of this host need
  ansible.builtin.debug:
    msg: "{{ lookup('declared', 'sysctl')[inventory_hostname] }}"

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
        hosts = self.get_option("hosts") or [variables["inventory_hostname"]]
        project = Project(PROJECT, self._loader)
        roles_by_host = project.roles_by_host(variables["groups"])
        found = {}
        for host in hosts:
            roles = [project.role(name) for name in roles_by_host.get(host, ())]
            if not roles:
                continue
            raw: dict[str, Any] = {"hostvars": variables["hostvars"], "groups": variables["groups"]}
            for role in roles:
                raw.update(role.defaults)
            raw.update(variables["hostvars"].raw_get(host))
            options = {role.name: role.options for role in roles}
            try:
                found[str(host)] = declared(terms[0], options, Settings(raw, self._loader))
            except UnrenderableError as error:
                raise AnsibleLookupError(f"host {host}: {error}") from error
        return [found]
