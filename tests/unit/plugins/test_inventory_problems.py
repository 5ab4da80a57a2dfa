# SPDX-License-Identifier: Apache-2.0
"""The preflight play asks the inventory check inside of Ansible, with the sources and the passwords of the run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from fleet.paths import INVENTORIES, PROJECT, VENV_BIN

Ask = Callable[..., subprocess.CompletedProcess[str]]
PASSWORD = "correct horse battery staple"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder like inventory/vm with one encrypted variable, whose hosts listen on the usual port."""
    for name in ("group_vars", "host_vars"):
        (tmp_path / name).symlink_to(INVENTORIES / "vm" / name)
    lines = re.sub(r", ansible_port: \d+", "", (INVENTORIES / "vm" / "hosts.yml").read_text()).splitlines(keepends=True)
    (tmp_path / "hosts.yml").write_text("".join(line for line in lines if "private_key" not in line))
    sealed = VaultLib([("default", VaultSecret(PASSWORD.encode()))]).encrypt("all: {vars: {vault_extra: closed}}\n")
    (tmp_path / "secrets.yml").write_bytes(sealed)
    return tmp_path


@pytest.fixture
def preflight() -> Ask:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_VAULT")} | more
        command = [str(VENV_BIN / "ansible-playbook"), "playbooks/preflight.yml", *words]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)

    return run


def test_a_password_that_the_run_has_opens_the_vault_for_the_check(preflight: Ask, copy: Path, tmp_path: Path):
    closed = preflight("-i", str(copy))
    assert closed.returncode != 0
    assert "this run lacks the password" in closed.stdout
    file = tmp_path.parent / "pw"
    file.write_text(PASSWORD)
    for words in (["--vault-password-file", str(file)], ["--vault-id", f"any@{file}"]):
        opened = preflight("-i", str(copy), *words)
        assert opened.returncode == 0, opened.stdout


def test_several_sources_are_refused_by_name(preflight: Ask, tmp_path: Path):
    (tmp_path / "hosts.yml").write_text("all: {hosts: {nas: {operating_systm: x}}}\n")
    done = preflight("-i", str(INVENTORIES / "vm"), "-i", str(tmp_path))
    assert done.returncode != 0
    assert "several inventories in one run" in done.stdout
    assert str(tmp_path) in done.stdout


def test_a_hosts_file_is_refused_with_its_folder(preflight: Ask):
    done = preflight("-i", "inventory/vm/hosts.yml")
    assert done.returncode != 0
    assert "give the folder that it lies in" in done.stdout


def test_the_source_that_molecule_adds_to_a_run_is_no_inventory(preflight: Ask, tmp_path: Path):
    (tmp_path / "hosts.yml").write_text("all: {vars: {molecule_file: x}}\n")
    sources = ["-i", str(tmp_path), "-i", str(INVENTORIES / "vm")]
    assert "several inventories in one run" in preflight(*sources).stdout
    done = preflight(*sources, MOLECULE_EPHEMERAL_DIRECTORY=str(tmp_path))
    assert "several inventories in one run" not in done.stdout
