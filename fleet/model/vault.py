# SPDX-License-Identifier: Apache-2.0
"""The passwords of the vault: those that Ansible itself would take, and the one that lies beside the inventory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ansible import constants
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret, VaultSecretsContext, get_file_vault_secret

from fleet.model.named import PASSWORD_FILE
from fleet.model.problems import Place, Problem

Secrets = Sequence[tuple[str, VaultSecret]]


def of_this_process() -> Secrets | None:
    """Return the passwords with which Ansible runs in this process, or None when it does not."""
    context = VaultSecretsContext.current(optional=True)
    return None if context is None else tuple(context.secrets)


def open_vault(loader: DataLoader, inventory: Path, given: Secrets | None = None) -> Iterator[Problem]:
    """Give the loader, and values marked `!vault`, their passwords; yield what is wrong with a password's file.

    Args:
        loader: Ansible's loader.
        inventory: the inventory folder.
        given: the passwords of a run; None looks for them where Ansible does, and beside the inventory.
    """
    secrets = list(given or ())
    loader.set_vault_secrets(secrets)
    if given is None:
        for name, source in _sources(inventory):
            try:
                secret = _loaded(loader, name, source)
            except (AnsibleError, OSError) as error:
                yield _refused(source, error)
            else:
                secrets.append((name, secret))
                loader.set_vault_secrets(secrets)  # the next password may be encrypted with this one
    context = VaultSecretsContext.current(optional=True)
    if context is None:
        VaultSecretsContext.initialize(VaultSecretsContext(secrets))
    else:
        context.secrets = secrets  # a process has one context; it follows the inventory read last


def _sources(inventory: Path) -> Iterator[tuple[str, Path]]:
    """Yield vault id and file in Ansible's order; what lies beside the inventory is what the verbs give Ansible."""
    for entry in constants.config.get_config_value("DEFAULT_VAULT_IDENTITY_LIST") or ():
        name, _, value = entry.partition("@") if "@" in entry else ("", "", entry)
        yield name or DEFAULT_VAULT_IDENTITY, Path(value).expanduser()
    named = constants.config.get_config_value("DEFAULT_VAULT_PASSWORD_FILE")
    if named:
        yield DEFAULT_VAULT_IDENTITY, Path(named)
    beside = inventory / PASSWORD_FILE
    if beside.exists() or beside.is_symlink():
        yield inventory.name, beside


def _loaded(loader: DataLoader, name: str, file: Path) -> VaultSecret:
    secret = get_file_vault_secret(filename=str(file), vault_id=name, loader=loader)
    secret.load()
    if not loader.is_executable(str(file)) and secret.bytes.startswith(b"#!"):
        raise AnsibleError("it begins as a script does and is not executable, so Ansible takes its text (chmod u+x)")
    return secret


def _refused(file: Path, error: AnsibleError | OSError) -> Problem:
    reason = error.strerror if isinstance(error, OSError) else str(getattr(error, "message", error))
    wrong = f"no password of the vault comes from it: {' '.join(str(reason).split())}"
    right = "write the password into it, or name another file in ANSIBLE_VAULT_PASSWORD_FILE"
    return Problem(Place(file), "-", file.name, wrong.rstrip("."), right)
