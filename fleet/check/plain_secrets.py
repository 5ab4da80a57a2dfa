# SPDX-License-Identifier: Apache-2.0
"""What is secret comes out of the vault, is a text, and is no other secret too.

Secret is what a specification marks (`no_log`), what the name of one's own variable says, or what a value shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.parsing.vault import EncryptedString

from fleet.check.names import OWN
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

# How people name what is secret, of their own variables.
NAMED = re.compile(r"_(pass(word|phrase|wd)?|token|secret|api_?key|private_key)s?\Z", re.IGNORECASE)
# What nobody writes but for its secret: a private key, a password inside an address, one for sshpass.
SHOWN = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\w://[^\s/:@{}]*:[^\s/@{}]+@|\bsshpass\s+-p\s*[^\s{]")
# What a template may take a secret from, beside the vault: a file or program outside of the inventory.
OUTSIDE = {"lookup", "query", "q"}
# A long secret of fewer characters than this was not drawn at random.
DIFFERENT, LONG = 8, 20


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield secrets in plain text, secrets that are no text, and secrets that are equal."""
    by_key: dict[str, list[Definition]] = {}
    for item in fleet.definitions:
        by_key.setdefault(item.key, []).append(item)
    for item in fleet.definitions:
        if _closed(fleet, item):
            continue
        for path, value, place in _secrets(_spec(fleet, item.key), item.value, item.key, item.place):
            if not _hidden(value, fleet, by_key):
                yield Problem(place, item.owner, path, "a secret in plain text", RIGHT)
        if _shows(item.value):
            yield Problem(item.place, item.owner, item.key, "holds a private key or a password in plain text", RIGHT)
    yield from _vault(fleet)


def _closed(fleet: Fleet, item: Definition) -> bool:
    # Ciphertext that nobody marked is the vault check's to report.
    file = item.place.file
    return file in fleet.loader.encrypted or file == fleet.secrets_from or is_ciphertext(item.value)


def _spec(fleet: Fleet, key: str) -> Spec:
    own = key.startswith(OWN) or key in fleet.own_options
    return {"no_log": True} if own and NAMED.search(key) else fleet.every_option.get(key, {})


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


def _shows(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_shows(entry) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return any(_shows(entry) for entry in value)
    return isinstance(value, str) and not isinstance(value, EncryptedString) and SHOWN.search(value) is not None


def _hidden(
    value: Any, fleet: Fleet, by_key: Mapping[str, list[Definition]], seen: frozenset[str] = frozenset()
) -> bool:
    """Tell whether a value is made of something that is not readable in the inventory."""
    if not is_template(value):
        return False
    words = [word for word in WORD.findall(value) if word not in seen]
    return any(
        word in OUTSIDE
        or word.startswith(VAULT)
        or any(
            _closed(fleet, item)
            or isinstance(item.value, EncryptedString)
            or _hidden(item.value, fleet, by_key, seen | {word})
            for item in by_key.get(word, ())
        )
        for word in words
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
            elif len(item.value) >= LONG and len(set(item.value)) < DIFFERENT:
                wrong = f"repeats {len(set(item.value))} characters"
                yield Problem(item.place, item.owner, item.key, wrong, "empty it, and `make secrets` writes one")
