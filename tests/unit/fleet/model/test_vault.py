# SPDX-License-Identifier: Apache-2.0
"""The vault opens with what Ansible would open it with, and a password's file that gives none is named."""

from __future__ import annotations

import pytest

from fleet import check as checks
from fleet.model.model import Fleet, Given
from tests.unit.fleet.conftest import PASSWORD


@pytest.fixture
def apart(sandbox):
    """Return the file of the password, which lies beside the inventory no more."""
    file = sandbox.root / "pw"
    (sandbox.inventory / ".vault-password").rename(file)
    return file


def test_an_identity_of_the_environment_opens_it(sandbox, apart, monkeypatch):
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", f"main@{apart}")
    assert sandbox.lines() == []


def test_a_password_file_below_the_home_directory_opens_it(sandbox, apart, monkeypatch):
    monkeypatch.setenv("HOME", str(apart.parent))
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "~/pw")
    assert sandbox.lines() == []


def test_a_script_of_ones_own_opens_it(sandbox, apart, monkeypatch):
    apart.write_text(f"#!/bin/sh\necho '{PASSWORD.decode()}'\n")
    apart.chmod(0o755)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(apart))
    assert sandbox.lines() == []


def test_a_script_beside_the_inventory_opens_it(sandbox):
    file = sandbox.inventory / ".vault-password"
    file.write_text(f"#!/bin/sh\necho '{PASSWORD.decode()}'\n")
    file.chmod(0o700)
    assert sandbox.lines() == []


def test_an_identity_whose_path_has_an_at_sign_opens_it(sandbox, apart, monkeypatch):
    folder = sandbox.root / "me@desk"
    folder.mkdir()
    apart.rename(folder / "pw")
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", f"main@{folder}/pw")
    assert sandbox.lines() == []


def test_what_a_run_has_counts_and_nothing_else(sandbox):
    fleet = Fleet.load(sandbox.inventory, sandbox.root, given=Given((), {}))
    (line,) = [problem.text(sandbox.root) for problem in checks.problems(fleet)]
    assert "secrets.yml: cannot be decrypted" in line
    assert "this run lacks the password" in line


def test_the_variables_of_a_run_count(sandbox):
    sandbox.add("inventory/main/group_vars/database.yml", 'store_port: "{{ port_of_this_run }}"\n')
    (line,) = sandbox.lines()
    assert "'port_of_this_run' is undefined" in line
    assert "what only a run gives (-e) needs default()" in line
    secrets = Fleet.load(sandbox.inventory, sandbox.root).secrets
    fleet = Fleet.load(sandbox.inventory, sandbox.root, given=Given(secrets, {"port_of_this_run": 5}))
    assert checks.problems(fleet) == []


@pytest.mark.parametrize(
    ("text", "executable", "word"),
    [
        ("", False, "Invalid vault password"),
        ("\n", False, "Invalid vault password"),
        ("#!/bin/sh\nexit 3\n", True, "returned non-zero (3)"),
        ("#!/bin/sh\necho x\n", False, "begins as a script does and is not executable"),
        ("a text\n", True, "remove the executable bit"),
    ],
)
def test_a_password_beside_the_inventory_that_is_none_is_refused_with_its_file(sandbox, text, executable, word):
    file = sandbox.inventory / ".vault-password"
    file.write_text(text)
    file.chmod(0o755 if executable else 0o600)
    lines = sandbox.lines()
    assert any(line.startswith(".vault-password:1: -: .vault-password: no password") and word in line for line in lines)


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 3\n", "#!/nowhere/sh\n", "", None])
def test_a_password_file_of_the_environment_that_gives_none_is_refused_with_its_file(sandbox, monkeypatch, text):
    file = sandbox.root / "pw"
    if text is not None:
        file.write_text(text)
        file.chmod(0o755)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(file))
    assert any(line.startswith("pw:1: -: pw: no password of the vault") for line in sandbox.lines())


def test_secrets_that_are_a_folder_are_refused_and_not_raised(sandbox):
    (sandbox.inventory / "secrets.yml").unlink()
    (sandbox.inventory / "secrets.yml").mkdir()
    assert sandbox.lines()[0].startswith("secrets.yml:1: -: secrets.yml: ")


def test_a_damaged_vault_file_is_called_so(sandbox):
    file = sandbox.inventory / "secrets.yml"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "zz" + lines[1][2:], *lines[2:]]))
    assert any("secrets.yml: is a damaged vault file" in line for line in sandbox.lines())


def test_secrets_of_a_vault_file_among_the_variables_need_no_secrets_file(sandbox):
    (sandbox.inventory / "secrets.yml").unlink()
    (sandbox.inventory / "group_vars" / "all.yml").rename(sandbox.root / "vars.yml")
    (sandbox.inventory / "group_vars" / "all").mkdir()
    (sandbox.root / "vars.yml").rename(sandbox.inventory / "group_vars" / "all" / "vars.yml")
    sandbox.encrypt_as("inventory/main/group_vars/all/vault.yml", "vault_store: a-secret-of-its-own\n")
    assert sandbox.lines() == []
