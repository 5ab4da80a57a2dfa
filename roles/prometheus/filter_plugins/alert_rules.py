# SPDX-License-Identifier: Apache-2.0
"""The alert rules of all roles and of the inventory, as one rule file of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: alert_rules
short_description: Collect the alert rules of roles and files
description:
  - Reads C(alerts/*.yml) of every role beside the given one, and the given files, and returns their groups.
options:
  _input:
    description: Folder of one role.
    type: path
    required: true
  files:
    description: Further rule files of the control machine.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
rules: "{{ role_path | alert_rules(prometheus_rule_files) }}"
"""

RETURN = r"""
_value:
  description: A dictionary with groups, in the order of the files' names.
  type: dict
"""


def alert_rules(role_path: str, files: Sequence[str]) -> dict[str, list[Any]]:
    """Return the groups of all rule files.

    Args:
        role_path: folder of a role; its neighbours are read too.
        files: further rule files.

    Raises:
        AnsibleFilterError: no role has alerts, or a file cannot be read.
    """
    own = sorted(Path(role_path).parent.glob("*/alerts/*.yml"))
    if not own:
        raise AnsibleFilterError(f"no role beside {role_path} has alerts/*.yml, so nothing would alert")
    groups: list[Any] = []
    for file in [*own, *map(Path, files)]:
        try:
            groups += yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise AnsibleFilterError(
                f"{file} is no rule file of Prometheus ({reason}); it has groups of rules"
            ) from error
    return {"groups": groups}


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"alert_rules": alert_rules}
