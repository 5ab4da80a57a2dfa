# SPDX-License-Identifier: Apache-2.0
"""Merge the kernel parameters that roles and policy declare for a host into one sorted list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roles.sysctl.module_utils.sysctl_keys import canonical, normalise

DOCUMENTATION = r"""
name: sysctl_plan
short_description: Merge declared kernel parameters into one sorted list
description:
  - Takes the declarations of one host, owner -> key -> value; returns a list of key, value and owner, sorted by key.
options:
  _input:
    description: Owner -> key -> value.
    type: dict
    required: true
"""

EXAMPLES = r"""
entries: "{{ {'redis': {'vm.overcommit_memory': 1}} | sysctl_plan }}"
"""

RETURN = r"""
_value:
  description: Entries of key, value and owner, sorted by key.
  type: list
"""

Declared = Mapping[str, Mapping[str, Any]]


def sysctl_plan(declared: Declared) -> list[dict[str, str]]:
    """Merge the declarations of one host, which passed the role's rules.

    Args:
        declared: owner -> key -> value.
    """
    owned = {canonical(key): (owner, value) for owner in sorted(declared) for key, value in declared[owner].items()}
    return [{"key": key, "value": normalise(value), "owner": owner} for key, (owner, value) in sorted(owned.items())]


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"sysctl_plan": sysctl_plan}
