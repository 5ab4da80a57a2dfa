# SPDX-License-Identifier: Apache-2.0
"""Secrets are encrypted, can be decrypted, and are all there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.check.values import VAULT_NAME, texts
from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import VAULT_HEADER

EXAMPLE = "inventory/secrets.yml.example"


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield secrets in plain text, values that still are ciphertext, and names that nothing defines."""
    file = fleet.inventory / "secrets.yml"
    used = {host: _used(fleet, host) for host in fleet.hosts}
    if fleet.secrets_from is None and not file.exists():
        yield from _values(fleet, file)
        if any(name not in fleet.settings(host) for host, names in used.items() for name in names):
            right = f"run `make secrets INVENTORY={fleet.inventory}`; --secrets {EXAMPLE} checks without"
            yield Problem(Place(file), "all", "secrets.yml", "the file with the secrets is missing", right)
        return
    if fleet.secrets_from is None:
        yield from _file(fleet, file)
    yield from _values(fleet, file)
    if file in fleet.loader.problems:
        return
    for host, names in used.items():
        for name, (place, key) in names.items():
            if name not in fleet.settings(host):
                right = f"add it to {(fleet.secrets_from or file).name}"
                yield Problem(place, host, name, f"{key} uses this secret and nothing defines it", right)


def _values(fleet: Fleet, file: Path) -> Iterator[Problem]:
    homes = {path.resolve() for path in (file, fleet.secrets_from) if path}
    for item in fleet.definitions:
        at_home = item.place.file in fleet.loader.encrypted or item.place.file.resolve() in homes
        if item.key.startswith("vault_") and not at_home:
            right = f"move it into {file.parent.name}/secrets.yml, by `ansible-vault edit`"
            yield Problem(item.place, item.owner, item.key, "a secret outside the vault", right)
        if is_ciphertext(item.value):
            right = "encrypt the whole file with ansible-vault, or mark the value with !vault"
            yield Problem(item.place, item.owner, item.key, "still is ciphertext", right)


def _file(fleet: Fleet, file: Path) -> Iterator[Problem]:
    with file.open("rb") as stream:
        encrypted = stream.read(len(VAULT_HEADER)) == VAULT_HEADER.encode()
    if not encrypted:
        right = f"run `make secrets INVENTORY={fleet.inventory}`, and change what others could read"
        yield Problem(Place(file), "all", "secrets.yml", "is not encrypted", right)
    example = fleet.project_folder / EXAMPLE
    if not example.exists():
        return
    document = fleet.loader.load_from_file(str(example)) or {}
    samples = document.get("all", {}).get("vars") or {}
    for item in fleet.definitions:
        if item.place.file == file and item.key in samples and item.value == samples[item.key]:
            yield Problem(item.place, item.owner, item.key, "still has the example's value", "set a secret of your own")


def _used(fleet: Fleet, host: str) -> dict[str, tuple[Place, str]]:
    """Return each vault name that the host's variables use, with the first place that does."""
    known = fleet.settings(host)
    found: dict[str, tuple[Place, str]] = {}
    for key in known:
        for text in texts(known.raw(key)):
            for name in VAULT_NAME.findall(text):
                found.setdefault(name, (fleet.place(host, key), key))
    return found


def is_ciphertext(value: Any) -> bool:
    """Tell whether a value is, or holds, text that ansible-vault wrote and that nobody marked."""
    if isinstance(value, str):
        return value.lstrip().startswith(VAULT_HEADER)
    if isinstance(value, Mapping):
        return any(is_ciphertext(entry) for entry in value.values())
    return isinstance(value, (list, tuple)) and any(is_ciphertext(entry) for entry in value)
