# SPDX-License-Identifier: Apache-2.0
"""Reading YAML as Ansible does, with file and line of every key, and with broken files reported instead of raised."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Ansible remembers file, line and column of every YAML key and value; it offers no public name for that yet.
from ansible._internal._datatag._tags import Origin
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import AnsibleVaultError, VaultSecretsContext, get_file_vault_secret

from fleet.model.problems import Place, Problem

VAULT_HEADER = "$ANSIBLE_VAULT;"


def place_of(value: object) -> Place | None:
    """Return where a key or value was written, or None for one that no file contains."""
    origin = value if isinstance(value, Origin) else Origin.get_tag(value)
    if origin is None or origin.path is None:
        return None
    return Place(Path(origin.path), origin.line_num or 1)


class TolerantLoader(DataLoader):
    """Ansible's loader, except that a file it cannot read counts as empty and becomes a problem.

    Attributes:
        problems: file -> what is wrong with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: dict[Path, Problem] = {}

    def load_from_file(self, file_name: str, **options: Any) -> Any:
        """Return the content of a YAML file, decrypted; an empty mapping when it cannot be read."""
        file = Path(file_name)
        if file in self.problems:
            return {}
        try:
            # Whatever the caller asks: nothing here changes what it reads, so a file is parsed once and never copied.
            return super().load_from_file(file_name, **{**options, "cache": "all", "unsafe": True})
        except AnsibleVaultError as error:
            right = "put the password in .vault-password beside it, or name its file in ANSIBLE_VAULT_PASSWORD_FILE"
            wrong = f"cannot be decrypted ({_first_line(error)})"
            self.problems[file] = Problem(Place(file), "-", file.name, wrong, right)
        except AnsibleError as error:
            place = place_of(error.obj) or Place(file)
            self.problems[file] = Problem(
                place, "-", file.name, f"invalid YAML: {_first_line(error)}", "mend the syntax"
            )
        return {}


def _first_line(error: AnsibleError) -> str:
    return str(error.message).strip().splitlines()[0].rstrip(".")


def open_vault(loader: DataLoader, inventory: Path) -> None:
    """Give the loader, and values marked `!vault`, the inventory's vault password when there is one."""
    file = Path(os.environ.get("ANSIBLE_VAULT_PASSWORD_FILE") or inventory / ".vault-password")
    secrets = []
    if file.exists():
        secret = get_file_vault_secret(filename=str(file), vault_id=DEFAULT_VAULT_IDENTITY, loader=loader)
        secret.load()
        secrets.append((DEFAULT_VAULT_IDENTITY, secret))
        loader.set_vault_secrets(secrets)
    context = VaultSecretsContext.current(optional=True)
    if context is None:
        VaultSecretsContext.initialize(VaultSecretsContext(secrets))
    else:
        context.secrets = secrets  # a process has one context; it follows the inventory read last
