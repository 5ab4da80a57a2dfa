# SPDX-License-Identifier: Apache-2.0
"""Every name is one that somebody reads: variables and nested keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from fleet.model.ansible_variables import INTERPRETER
from fleet.model.model import Definition, Fleet
from fleet.model.named import OWN_SPECIFICATION
from fleet.model.problems import Place, Problem
from fleet.model.project import Spec
from fleet.model.reading import place_of

# A name that begins so is the inventory's own: templates of its variables read it, no role does.
OWN = "_"


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield names that nothing reads."""
    known = fleet.every_option
    for item in fleet.definitions:
        if item.key in known:
            yield from _nested(item.owner, item.key, item.value, known[item.key], item.place)
        elif not _spoken_for(item.key):
            yield Problem(item.place, item.owner, item.key, "unknown variable", _remedy(fleet, item))


def _spoken_for(key: str) -> bool:
    # The vault's names are the vault check's.
    return key.startswith((OWN, "vault_")) or INTERPRETER.fullmatch(key) is not None


def _remedy(fleet: Fleet, item: Definition) -> str:
    of_ansible = item.key.startswith("ansible_")
    known = [name for name in fleet.every_option if name.startswith("ansible_") or not of_ansible]
    own = f"describe it in {fleet.inventory.name}/{OWN_SPECIFICATION}, or begin its name with {OWN}"
    otherwise = "no plugin of Ansible documents it" if of_ansible else "no role and no specification has it"
    otherwise += f": remove it, or, if it is one of your own, {own}"
    right = suggestion(item.key, known, otherwise)
    return right if right == otherwise else f"{right} For a variable of your own {own}"


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return `did you mean ...?` with the nearest known name, or else the other words."""
    nearest = get_close_matches(name, [str(candidate) for candidate in known], n=1, cutoff=0.75)
    return f"did you mean {nearest[0]}?" if nearest else otherwise


def _nested(owner: str, path: str, value: Any, spec: Spec, place: Place) -> Iterator[Problem]:
    options = spec.get("options")
    if not isinstance(options, Mapping) or not options:
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
