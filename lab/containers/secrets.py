# SPDX-License-Identifier: Apache-2.0
"""What the lab makes for itself at its first start: an ssh key, random secrets in a vault, local values."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import yaml
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.parsing.vault import VaultLib, VaultSecret

from fleet.paths import INVENTORIES, LAB_INVENTORY, LAB_STATE
from lab import archive

EXAMPLE = INVENTORIES / "secrets.yml.example"
EXTRA_CAS = Path("/usr/local/share/ca-certificates")


def make_ssh_key() -> Path:
    """Return the private key with which the control machine enters the lab's hosts, made if missing."""
    key = LAB_STATE / "id_ed25519"
    if not key.exists():
        LAB_STATE.mkdir(mode=0o700, exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "station-lab", "-f", str(key)], check=True)
    return key


def make_vault() -> None:
    """Write random values for every name in the example into an encrypted file; what exists is kept."""
    password_file = LAB_INVENTORY / ".vault-password"
    vault_file = LAB_INVENTORY / "secrets.yml"
    if not password_file.exists():
        _write_private(password_file, secrets.token_urlsafe(32) + "\n")
        vault_file.unlink(missing_ok=True)  # nobody can read it without its password
    vault = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(password_file.read_bytes().strip()))])
    known: dict[str, str] = {}
    if vault_file.exists():
        known = yaml.safe_load(vault.decrypt(vault_file.read_bytes()))["all"]["vars"]
    wanted = yaml.safe_load(EXAMPLE.read_text())["all"]["vars"]
    values = {name: known.get(name) or secrets.token_urlsafe(32) for name in wanted}
    if values != known:
        text = yaml.safe_dump({"all": {"vars": values}})
        _write_private(vault_file, vault.encrypt(text).decode())


def write_local_values(mirrors: archive.Mirrors, bars: Path) -> None:
    """Write what only this machine knows where the lab's inventory reads it.

    Args:
        mirrors: its package archives.
        bars: its file of sample bars.
    """
    values = {
        "lab_apt_mirror": mirrors.main,
        "lab_apt_security_mirror": mirrors.security,
        "lab_ca_files": sorted(str(path) for path in EXTRA_CAS.glob("*.crt")),
        "lab_sample_bars": str(bars),
    }
    head = "# Written by `make lab` from this machine's apt sources, CA folder and samples; not committed.\n"
    (LAB_INVENTORY / "local.yml").write_text(head + yaml.safe_dump({"all": {"vars": values}}))


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)  # the mode above counts for a new file only
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
