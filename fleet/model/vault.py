# SPDX-License-Identifier: Apache-2.0
"""The passwords of the vault: those that Ansible itself would take, and the one that lies beside the inventory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ansible import constants
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import FileVaultSecret, VaultSecret, VaultSecretsContext, get_file_vault_secret

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
                secret = _secret(loader, inventory, name, source)
                secret.load()
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
    """Yield vault id and file in Ansible's order; what only the project's ansible.cfg names need not be there."""
    config = Path(constants.CONFIG_FILE).parent if constants.CONFIG_FILE else Path.cwd()
    _, origin = constants.config.get_config_value_and_origin("DEFAULT_VAULT_IDENTITY_LIST")
    for entry in constants.config.get_config_value("DEFAULT_VAULT_IDENTITY_LIST") or ():
        name, _, value = entry.partition("@") if "@" in entry else ("", "", entry)
        file = Path(value).expanduser()
        file = file if file.is_absolute() or file.exists() else config / file
        if str(origin).startswith("env:") or file.exists():
            yield name or DEFAULT_VAULT_IDENTITY, file
    named = constants.config.get_config_value("DEFAULT_VAULT_PASSWORD_FILE")
    if named:
        yield DEFAULT_VAULT_IDENTITY, Path(named)
    beside = inventory / PASSWORD_FILE
    if beside.exists() or beside.is_symlink():
        yield inventory.name, beside


def _secret(loader: DataLoader, inventory: Path, name: str, file: Path) -> FileVaultSecret:
    if file != inventory / PASSWORD_FILE:
        return get_file_vault_secret(filename=str(file), vault_id=name, loader=loader)
    if file.read_bytes().startswith(b"#!"):
        raise AnsibleError("it is a script; name it in ANSIBLE_VAULT_PASSWORD_FILE, this file is read as text")
    # inventory/vault-password-client prints it as it is: the executable bit of a foreign file system says nothing.
    return FileVaultSecret(filename=str(file), loader=loader)


def _refused(file: Path, error: AnsibleError | OSError) -> Problem:
    reason = error.strerror if isinstance(error, OSError) else str(getattr(error, "message", error))
    wrong = f"no password of the vault comes from it: {' '.join(str(reason).split())}"
    right = "write the password into it, or name another file in ANSIBLE_VAULT_PASSWORD_FILE"
    return Problem(Place(file), "-", file.name, wrong.rstrip("."), right)
