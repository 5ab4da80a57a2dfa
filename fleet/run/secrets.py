# SPDX-License-Identifier: Apache-2.0
"""`make secrets`: every secret that the fleet's policy names, as a random value in an encrypted file of the inventory.

python -m fleet.run.secrets inventory/production

Exit status: 0 the file has all of them, 2 nothing was written.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from fleet.errors import UserError
from fleet.host.atomic_file import atomic_write
from fleet.model.named import PASSWORD_FILE, usable
from fleet.paths import INVENTORIES, PROJECT

os.environ.setdefault("ANSIBLE_CONFIG", str(PROJECT / "ansible.cfg"))  # Ansible reads it when it is imported

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret

from fleet.model import vault
from fleet.model.model import PLACEHOLDER
from fleet.model.reading import VAULT_HEADER

EXAMPLE = INVENTORIES / "secrets.yml.example"
SECRETS_FILE = "secrets.yml"


@dataclass(frozen=True)
class Written:
    """What was written: the file, the names that got a value, and where the password that opens it comes from."""

    file: Path
    names: tuple[str, ...]
    password: Path
    was_readable: bool


def fill(inventory: Path, example: Path = EXAMPLE) -> Written | None:
    """Give every name of the example that has no value yet a random one; None when nothing was to be done.

    Args:
        inventory: inventory folder. Its password is made when nothing names one and no secrets are there yet.
        example: file with every name.

    Raises:
        UserError: the secrets cannot be read or opened; nothing was written.
    """
    file = (inventory / SECRETS_FILE).resolve()
    try:
        text = file.read_bytes().decode() if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}; nothing was written") from error
    encrypted = text.startswith(VAULT_HEADER)
    known = _passwords(inventory, may_make=not encrypted)
    secret = known[-1][1] if (inventory / PASSWORD_FILE).exists() else known[0][1]
    if encrypted:
        text, secret = _opened(file, text, known)
    filled, names = _filled(file, text, list(yaml.safe_load(example.read_text())["all"]["vars"]))
    if encrypted and not names:
        return None
    atomic_write(file, VaultLib([("", secret)]).encrypt(filled).decode(), 0o600)
    return Written(file, names, Path(secret.filename), bool(text) and not encrypted)


def _passwords(inventory: Path, may_make: bool) -> vault.Secrets:
    """Return the passwords that a run would have, in Ansible's order; the one beside the inventory is the last."""
    wrong = list(vault.open_vault(DataLoader(), inventory))
    if wrong and not vault.of_this_process():
        raise UserError(f"{wrong[0].text(PROJECT)}; nothing was written")
    if not vault.of_this_process():
        if not may_make:
            words = f"is encrypted, and its password is not here: put it into {PASSWORD_FILE} beside it"
            raise UserError(f"{inventory / SECRETS_FILE}: {words}, or name its file in ANSIBLE_VAULT_PASSWORD_FILE")
        atomic_write(inventory / PASSWORD_FILE, secrets.token_urlsafe(32) + "\n", 0o600)
        list(vault.open_vault(DataLoader(), inventory))
    return vault.of_this_process() or ()


def _opened(file: Path, text: str, known: vault.Secrets) -> tuple[str, VaultSecret]:
    try:
        plain, _, secret = VaultLib(known).decrypt_and_get_vault_id(text)
        return plain.decode(), secret
    except (AnsibleError, UnicodeDecodeError) as error:
        words = " ".join(str(getattr(error, "message", error)).split()).rstrip(".")
        raise UserError(f"{file}: cannot be decrypted ({words}); nothing was written") from error


def _filled(file: Path, text: str, names: list[str]) -> tuple[str, tuple[str, ...]]:
    """Return a text with a value for each name that has none, and these names; the rest stays as it was typed."""
    try:
        root = yaml.compose(text)
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        raise UserError(f"{file}: is no YAML ({words}); nothing was written") from error
    fresh = {name: json.dumps(secrets.token_urlsafe(32)) for name in names}
    if root is None:
        lines = [f"    {name}: {value}" for name, value in fresh.items()]
        return "\n".join([text.rstrip(), "all:", "  vars:", *lines]).lstrip() + "\n", tuple(names)
    values = _entry(_entry(root, "all"), "vars")
    if not isinstance(values, yaml.MappingNode) or not values.value:
        raise UserError(f"{file}: write its secrets below `all:`, `vars:`; nothing was written")
    there = {key.value: value for key, value in values.value}
    empty = [name for name in names if name in there and _is_empty(there[name])]
    missing = [name for name in names if name not in there]
    # Behind `name:` there may be no blank.
    edits = [(there[name].start_mark.index, there[name].end_mark.index, f" {fresh[name]}") for name in empty]
    first = values.value[0][0].start_mark
    between = ", " if values.flow_style else "\n" + " " * first.column
    edits += [(first.index, first.index, f"{name}: {fresh[name]}{between}") for name in reversed(missing)]
    for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        text = text[:start] + new + text[end:]
    return text, (*empty, *missing)


def _is_empty(node: yaml.Node) -> bool:
    return node.tag.endswith(":null") or node.value in ("", PLACEHOLDER)


def _entry(node: yaml.Node | None, name: str) -> yaml.Node | None:
    entries = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in entries if key.value == name), None)


def main(arguments: list[str] | None = None) -> int:
    """Write the secrets of an inventory and say what to do with them; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fleet.run.secrets", description=__doc__.partition("\n")[0])
    parser.add_argument("inventory", type=Path, help="inventory folder")
    inventory = parser.parse_args(arguments).inventory
    try:
        written = fill(usable(inventory))
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if written is None:
        print(f"{inventory / SECRETS_FILE}: every secret is there; nothing was written")
        return 0
    beside = (inventory / PASSWORD_FILE).absolute() == written.password
    source = inventory / PASSWORD_FILE if beside else written.password
    count = f"{len(written.names)} new secret{'' if len(written.names) == 1 else 's'}"
    print(f"{inventory / SECRETS_FILE}: {count}, encrypted with the password from {source}")
    if written.was_readable:
        print("it was in plain text until now: change the other secrets if somebody else could read it")
    print(f"next: keep a copy of both, apart from each other; then `make check-inventory INVENTORY={inventory}`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
