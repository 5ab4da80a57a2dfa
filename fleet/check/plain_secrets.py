# SPDX-License-Identifier: Apache-2.0
"""What a specification marks as secret (`no_log`) comes out of the vault, is a text, and is no other secret too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.parsing.vault import EncryptedString

from fleet.check.values import WORD
from fleet.check.vault import is_ciphertext
from fleet.model.model import Definition, Fleet
from fleet.model.problems import Place, Problem
from fleet.model.project import Spec
from fleet.model.reading import place_of
from fleet.model.settings import is_template
from fleet.model.written import kind

VAULT = "vault_"
RIGHT = 'put it into secrets.yml as vault_NAME and write "{{ vault_NAME }}" here, or mark the value with !vault'


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield secrets in plain text, secrets that are no text, and secrets that are equal."""
    by_key: dict[str, list[Definition]] = {}
    for item in fleet.definitions:
        by_key.setdefault(item.key, []).append(item)
    for item in fleet.definitions:
        if item.key in fleet.every_option and not _closed(fleet, item):
            for path, value, place in _secrets(fleet.every_option[item.key], item.value, item.key, item.place):
                if not _hidden(value, fleet, by_key):
                    yield Problem(place, item.owner, path, "a secret in plain text", RIGHT)
    yield from _vault(fleet)


def _closed(fleet: Fleet, item: Definition) -> bool:
    # Ciphertext that nobody marked is the vault check's to report.
    file = item.place.file
    return file in fleet.loader.encrypted or file == fleet.secrets_from or is_ciphertext(item.value)


def _secrets(spec: Spec, value: Any, path: str, place: Place) -> Iterator[tuple[str, Any, Place]]:
    """Yield path, value and place of everything inside a value that is marked as secret, or is inside of what is."""
    marked = {"no_log": True} if spec.get("no_log") else {}
    options = spec.get("options")
    options = options if isinstance(options, Mapping) else {}
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _secrets({**options.get(key, {}), **marked}, entry, f"{path}.{key}", place_of(key) or place)
    elif isinstance(value, (list, tuple)):
        for number, entry in enumerate(value):
            yield from _secrets({"options": options, **marked}, entry, f"{path}[{number}]", place_of(entry) or place)
    elif marked and value is not None and not isinstance(value, EncryptedString) and str(value):
        yield path, value, place


def _hidden(
    value: Any, fleet: Fleet, by_key: Mapping[str, list[Definition]], seen: frozenset[str] = frozenset()
) -> bool:
    """Tell whether a value is made of something that is not readable in the inventory."""
    if not is_template(value):
        return False
    names = [name for name in WORD.findall(value) if name in by_key and name not in seen]
    inside = [item for name in names for item in by_key[name]]
    return all(
        _closed(fleet, item)
        or isinstance(item.value, EncryptedString)
        or item.key.startswith(VAULT)
        or _hidden(item.value, fleet, by_key, seen | {item.key})
        for item in inside
    )


def _vault(fleet: Fleet) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for item in fleet.definitions:
        if not item.key.startswith(VAULT) or item.value is None or item.place.file == fleet.secrets_from:
            continue
        if not isinstance(item.value, (str, EncryptedString, Mapping, list)):
            wrong = f"YAML reads this secret as {kind(item.value)}, not as what was typed"
            yield Problem(item.place, item.owner, item.key, wrong, "write it in quotes")
        elif isinstance(item.value, str) and not is_template(item.value):
            other = first.setdefault(str(item.value), item.key)
            if other != item.key:
                yield Problem(item.place, item.owner, item.key, f"has the value of {other}", "give each secret its own")
