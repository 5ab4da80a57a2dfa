# SPDX-License-Identifier: Apache-2.0
"""The inventory folder that a user names for a verb; Ansible is not loaded for it, so that a verb begins at once."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from fleet.errors import UserError

VARS_FOLDERS = {"group_vars": "group", "host_vars": "host"}
OWN_SPECIFICATION = "argument_specs.yml"
PASSWORD_FILE = ".vault-password"  # noqa: S105 - the name of a file
# Endings of files that lie beside variables or hosts and that nobody reads (ansible.cfg: ignore_extensions).
DOCUMENTS = (".md", ".example", ".orig", ".bak", ".swp", "~")


def usable(inventory: Path) -> Path:
    """Return an inventory folder.

    Raises:
        UserError: it is not there, is a file, or holds nothing that could be an inventory.
    """
    if inventory.is_file():
        words = "a file is no inventory folder; give the folder that it lies in"
        raise UserError(f"{inventory}: {words}: {inventory.parent}")
    if not inventory.is_dir():
        beside = inventory.parent.glob("*/") if inventory.parent.is_dir() else ()
        nearest = get_close_matches(inventory.name, [path.name for path in beside], n=1)
        words = f"did you mean {inventory.parent / nearest[0]}?" if nearest else "give one that holds hosts.yml"
        raise UserError(f"{inventory}: no inventory folder; {words}")
    others = {*VARS_FOLDERS, OWN_SPECIFICATION}
    names = [entry.name for entry in inventory.iterdir() if entry.name not in others]
    if all(name.startswith(".") or name.endswith(DOCUMENTS) for name in names):
        raise UserError(f"{inventory}: no inventory in this folder; write its hosts.yml, or name another folder")
    return inventory
