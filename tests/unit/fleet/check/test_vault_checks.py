# SPDX-License-Identifier: Apache-2.0
"""Secrets that are in plain text, cannot be read, or are missing."""

from __future__ import annotations

ALL = "inventory/main/group_vars/all.yml"
SECRETS = "inventory/main/secrets.yml"


def test_a_plain_text_secrets_file_is_refused(sandbox, refused):
    sandbox.write(SECRETS, "all: {vars: {vault_store: a-secret-of-its-own}}\n")
    refused("secrets.yml:1: all: secrets.yml: is not encrypted", "make secrets INVENTORY=")


def test_a_missing_secrets_file_is_one_problem_that_says_what_writes_it(sandbox, refused):
    (sandbox.root / SECRETS).unlink()
    refused("secrets.yml:1: all: secrets.yml: ", "missing", f"make secrets INVENTORY={sandbox.inventory}")


def test_without_its_password_the_secrets_file_is_refused(sandbox, refused):
    (sandbox.inventory / ".vault-password").unlink()
    refused("secrets.yml:1: -: secrets.yml: cannot be decrypted", ".vault-password")


def test_with_a_wrong_password_the_secrets_file_is_refused(sandbox, refused):
    sandbox.write("inventory/main/.vault-password", "wrong")
    refused("secrets.yml:1: -: secrets.yml: cannot be decrypted", ".vault-password")


def test_a_secret_that_nothing_defines_is_refused_where_it_is_used(sandbox, refused):
    sandbox.encrypt("all: {vars: {vault_other: x}}\n")
    line = refused("roles/store/defaults/main.yml:5: alpha: vault_store: ", "store_password uses this secret")
    assert "secrets.yml" in line


def test_a_secret_outside_the_vault_is_refused(sandbox, refused):
    sandbox.add(ALL, "vault_other: plain\n")
    refused("group_vars/all.yml:5: all: vault_other: a secret outside the vault", "main/secrets.yml")


def test_a_value_that_still_is_ciphertext_is_refused(sandbox, refused):
    text = (sandbox.root / SECRETS).read_text()
    sandbox.add(ALL, "ansible_become_password: |\n" + "".join(f"  {line}\n" for line in text.splitlines()))
    refused("group_vars/all.yml:5: all: ansible_become_password: still is ciphertext", "!vault")


def test_a_marked_value_that_cannot_be_decrypted_is_refused(sandbox):
    text = (sandbox.root / SECRETS).read_text()
    sandbox.add(ALL, "ansible_become_password: !vault |\n" + "".join(f"  {line}\n" for line in text.splitlines()))
    assert sandbox.lines() == []
    sandbox.write("inventory/main/.vault-password", "wrong")
    assert any("ansible_become_password: cannot be rendered" in line for line in sandbox.lines())


def test_the_values_of_the_example_are_refused_as_secrets(sandbox, refused):
    sandbox.encrypt("all: {vars: {vault_store: change-me}}\n")
    refused("secrets.yml:1: all: vault_store: still has the example's value")


def test_the_example_stands_in_for_the_secrets_where_there_are_none(sandbox):
    (sandbox.root / SECRETS).unlink()
    example = sandbox.root / "inventory" / "secrets.yml.example"
    assert sandbox.lines(example) == []
    example.write_text("all: {vars: {vault_other: change-me}}\n")
    (line,) = sandbox.lines(example)
    assert "vault_store" in line
    assert "add it to secrets.yml.example" in line
