# SPDX-License-Identifier: Apache-2.0
"""The lab makes its own secrets, once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.parsing.vault import VaultLib, VaultSecret

from lab.containers import secrets


class Folder:
    """An inventory folder of its own, and the example beside it."""

    def __init__(self, root: Path) -> None:
        self.password = root / ".vault-password"
        self.vault = root / "secrets.yml"
        self.example = root / "secrets.yml.example"
        self.example_has("vault_one", "vault_two")

    def example_has(self, *names: str) -> None:
        self.example.write_text(yaml.safe_dump({"all": {"vars": dict.fromkeys(names, "change-me")}}))

    def values(self) -> dict[str, str]:
        vault = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(self.password.read_bytes().strip()))])
        values: dict[str, str] = yaml.safe_load(vault.decrypt(self.vault.read_bytes()))["all"]["vars"]
        return values


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    folder = Folder(tmp_path)
    monkeypatch.setattr(secrets, "LAB_INVENTORY", tmp_path)
    monkeypatch.setattr(secrets, "EXAMPLE", folder.example)
    return folder


def test_every_name_of_the_example_gets_a_long_value_of_its_own(folder: Folder):
    secrets.make_vault()
    values = folder.values()
    assert set(values) == {"vault_one", "vault_two"}
    assert len(set(values.values())) == 2
    assert all(len(value) >= 32 and value != "change-me" for value in values.values())


def test_no_value_stands_in_the_file_and_nobody_else_may_read_it(folder: Folder):
    secrets.make_vault()
    text = folder.vault.read_text()
    assert text.startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert not any(value in text for value in folder.values().values())
    assert {file.stat().st_mode & 0o777 for file in (folder.password, folder.vault)} == {0o600}


def test_a_second_call_changes_nothing(folder: Folder):
    secrets.make_vault()
    before = folder.password.read_bytes(), folder.vault.read_bytes()
    secrets.make_vault()
    assert (folder.password.read_bytes(), folder.vault.read_bytes()) == before


def test_a_new_name_is_added_and_the_known_values_stay(folder: Folder):
    secrets.make_vault()
    before = folder.values()
    folder.example_has("vault_one", "vault_two", "vault_three")
    secrets.make_vault()
    after = folder.values()
    assert set(after) == {"vault_one", "vault_two", "vault_three"}
    assert {name: after[name] for name in before} == before


def test_a_vault_whose_password_is_gone_is_made_again(folder: Folder):
    secrets.make_vault()
    before = folder.values()
    folder.password.unlink()
    secrets.make_vault()
    assert set(folder.values()) == set(before)
    assert folder.values() != before
