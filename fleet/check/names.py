# SPDX-License-Identifier: Apache-2.0
"""Every name is one that somebody reads: variables, nested keys, group_vars and host_vars files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fleet.model.model import Fleet, vars_files
from fleet.model.problems import Place, Problem
from fleet.model.project import Spec
from fleet.model.reading import place_of


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield names that nothing reads."""
    known = known_options(fleet)
    for item in fleet.definitions:
        if item.key in known:
            yield from _nested(item.owner, item.key, item.value, known[item.key], item.place)
        elif not item.key.startswith("vault_"):  # the vault's names are the vault check's
            right = suggestion(item.key, known, "no role and not inventory/argument_specs.yml has it: remove it")
            yield Problem(item.place, item.owner, item.key, "unknown variable", right)
    yield from _files(fleet)


def known_options(fleet: Fleet) -> dict[str, Spec]:
    """Return every variable that an inventory may set, with its specification."""
    options = dict(fleet.project.inventory_options)
    for role in fleet.project.role_names:
        options |= fleet.project.role(role).options
    return options


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return `did you mean ...?` with the nearest known name, or else the other words."""
    nearest = get_close_matches(name, [str(candidate) for candidate in known], n=1, cutoff=0.7)
    return f"did you mean {nearest[0]}?" if nearest else otherwise


def _nested(owner: str, path: str, value: Any, spec: Spec, place: Place) -> Iterator[Problem]:
    options = spec.get("options")
    if not options:
        return
    if isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _nested(owner, f"{path}[{index}]", entry, spec, place)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            name, where = f"{path}.{key}", place_of(key) or place
            if key in options:
                yield from _nested(owner, name, entry, options[key], where)
            else:
                right = suggestion(str(key), options, f"known here: {', '.join(sorted(options))}")
                yield Problem(where, owner, name, "unknown key", right)


def _files(fleet: Fleet) -> Iterator[Problem]:
    for folder, kind in (("group_vars", "group"), ("host_vars", "host")):
        known = {"all"} if kind == "group" else set()
        for inventory in _sharing(fleet, folder):
            known |= _names(fleet, inventory, kind)
        for name, file in vars_files(fleet.inventory / folder):
            if name not in known:
                right = suggestion(name, known, f"add the {kind} to hosts.yml or remove the file")
                subject = f"group {name}" if kind == "group" else name
                yield Problem(Place(file), subject, file.name, f"no {kind} has this name", right)


def _sharing(fleet: Fleet, folder: str) -> set[Path]:
    """Return the inventories that read the same group_vars or host_vars folder; this one is among them."""
    own = (fleet.inventory / folder).resolve()
    others = (fleet.project_folder / "inventory").glob("*/")
    return {fleet.inventory, *(path for path in others if (path / folder).resolve() == own)}


def _names(fleet: Fleet, inventory: Path, kind: str) -> set[str]:
    if inventory == fleet.inventory:
        return set(fleet.members) if kind == "group" else set(fleet.hosts)
    hosts_file = inventory / "hosts.yml"
    document = fleet.loader.load_from_file(str(hosts_file)) if hosts_file.exists() else {}
    return {str(name) for name in written_names(document, kind)}


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
            if kind == "host":
                yield from content.get("hosts") or {}
            yield from written_names(content.get("children"), kind)
