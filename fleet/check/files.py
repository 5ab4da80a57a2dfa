# SPDX-License-Identifier: Apache-2.0
"""Files of variables belong to a group or host of this inventory, and no other file wins over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.check.names import suggestion
from fleet.model.folder import VarsFile
from fleet.model.model import Fleet
from fleet.model.named import VARS_FOLDERS
from fleet.model.problems import Place, Problem


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield files of no group or host, and variables beside the playbooks."""
    for file in fleet.vars_files:
        if file.entry.parent == fleet.policy:
            continue  # the project has groups that this inventory need not have
        known = {str(name) for inventory in _sharing(fleet, file) for name in _names(fleet, inventory, file.kind)}
        if file.name not in known:
            subject = f"group {file.name}" if file.kind == "group" else file.name
            right = _remedy(file, known)
            yield Problem(Place(file.file), subject, file.file.name, f"no {file.kind} has this name", right)
    for folder in VARS_FOLDERS:
        path = fleet.project_folder / "playbooks" / folder
        if path.exists():
            wrong = "Ansible lets these variables win over those of every inventory"
            yield Problem(Place(path), "-", f"playbooks/{folder}", wrong, f"move them to {folder} of the inventory")


def _remedy(file: VarsFile, known: set[str]) -> str:
    stem = file.name.partition(".")[0]
    if stem in known and stem != file.name:
        return f"rename it to {stem}.yml"
    return suggestion(file.name, known, f"add the {file.kind} to hosts.yml or remove the file")


def _sharing(fleet: Fleet, file: VarsFile) -> set[Path]:
    """Return the inventories that read the same file, through a link of the folder or of the file itself."""
    folder = next(name for name, kind in VARS_FOLDERS.items() if kind == file.kind)
    real = file.entry.resolve()
    others = (fleet.project_folder / "inventory").glob("*/")
    return {fleet.inventory, *(path for path in others if (path / folder / file.entry.name).resolve() == real)}


def _names(fleet: Fleet, inventory: Path, kind: str) -> set[str]:
    if inventory == fleet.inventory:
        return set(fleet.members) if kind == "group" else set(fleet.hosts)
    hosts_file = inventory / "hosts.yml"
    document = fleet.loader.load_from_file(str(hosts_file)) if hosts_file.exists() else {}
    return {"all", *(str(name) for name in written_names(document, kind))}


def written_names(document: Any, kind: str) -> Iterator[str]:
    """Yield the groups or hosts of an inventory file as they are written, so that each still knows its line.

    Args:
        document: content of the file.
        kind: `group` or `host`.
    """
    for group, content in (document if isinstance(document, Mapping) else {}).items():
        if kind == "group":
            yield group
        if isinstance(content, Mapping):
            hosts = content.get("hosts")
            if kind == "host" and isinstance(hosts, Mapping):
                yield from hosts
            yield from written_names(content.get("children"), kind)
