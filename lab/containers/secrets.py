# SPDX-License-Identifier: Apache-2.0
"""What the lab makes for itself at its first start: an ssh key, random secrets in a vault, local values."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import yaml

from fleet.host.atomic_file import atomic_write
from fleet.model.named import PASSWORD_FILE
from fleet.paths import LAB_INVENTORY, LAB_STATE
from fleet.run.secrets import EXAMPLE, SECRETS_FILE, fill
from lab import archive

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
    password_file = LAB_INVENTORY / PASSWORD_FILE
    if not password_file.exists():
        (LAB_INVENTORY / SECRETS_FILE).unlink(missing_ok=True)  # nobody can read it without its password
        atomic_write(password_file, secrets.token_urlsafe(32) + "\n", 0o600)
    fill(LAB_INVENTORY, EXAMPLE)


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
