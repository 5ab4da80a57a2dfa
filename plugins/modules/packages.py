#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Say which packages of a host apt has something to do for; apt itself takes a third of a second to find out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Install packages of the distribution
description:
  - Asks dpkg first, and runs C(ansible.builtin.apt) (see the action of this name) only when something is to be done.
  - A package that is there only because another one needs it counts as missing, so that apt marks it as asked for and
    no automatic removal takes it.
  - Recommended packages are not installed. Package lists older than an hour are fetched before something is installed.
options:
  name:
    description: Names of packages. A name with a version or a wildcard is always left to apt.
    type: list
    elements: str
    required: true
  policy_rc_d:
    description: Exit status of policy-rc.d while the packages are installed; 101 lets none of their services start.
    type: int
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Install the server, which starts when it is configured
  packages:
    name: [redis-server, redis-tools]
    policy_rc_d: 101
"""

RETURN = r"""
missing:
  description: The packages that apt was asked for.
  type: list
  elements: str
  returned: always
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

MARKS = Path("/var/lib/apt/extended_states")
FORMAT = "${Package} ${db:Status-Status}\n"


def missing(names: Iterable[str], states: str, marks: str) -> list[str]:
    """Return the packages that apt would install or mark; pure.

    Args:
        names: what the task asks for.
        states: dpkg's lines "package state".
        marks: text of apt's extended_states, which says what was installed for another package.
    """
    installed = {words[0] for words in map(str.split, states.splitlines()) if words[1:] == ["installed"]}
    return [name for name in names if name not in installed - _automatic(marks)]


def _automatic(marks: str) -> set[str]:
    found = set()
    for paragraph in marks.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1":
            found.add(fields.get("Package", ""))
    return found


def states_of(names: list[str]) -> str:
    """Ask dpkg; a package that it does not know has no line."""
    words = ["dpkg-query", "--show", f"--showformat={FORMAT}", "--", *names]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout if names else ""


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "policy_rc_d": {"type": "int"},
        },
        supports_check_mode=True,
    )
    names = module.params["name"]
    try:
        marks = MARKS.read_text(encoding="utf-8") if MARKS.exists() else ""
        module.exit_json(changed=False, missing=missing(names, states_of(names), marks))
    except OSError as error:
        module.fail_json(msg=f"packages: {error}")


if __name__ == "__main__":
    main()
