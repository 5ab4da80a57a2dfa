# SPDX-License-Identifier: Apache-2.0
"""What a specification marks as secret comes out of the vault."""

from __future__ import annotations

import pytest

ALL = "inventory/main/group_vars/all.yml"
DATABASE = "inventory/main/group_vars/database.yml"
SPEC = "roles/store/meta/argument_specs.yml"


@pytest.fixture(autouse=True)
def _marked(sandbox):
    sandbox.replace(SPEC, "{type: str, description: Password.}", "{type: str, no_log: true, description: Password.}")
    sandbox.add(
        SPEC,
        """      store_users: {type: dict, no_log: true, description: Users.}
      store_hooks:
        type: list
        elements: dict
        description: Hooks.
        options:
          url: {type: str}
          token: {type: str, no_log: true}
""",
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("store_password: hunter2", "store_password"),
        ("store_users: {admin: plain-text}", "store_users.admin"),
        ("store_users: {admin: {word: plain-text}}", "store_users.admin.word"),
        ("store_hooks: [{url: x, token: plain}]", "store_hooks[0].token"),
        ('store_password: "{{ _word }}"', "store_password"),
        ("store_password: \"{{ 'plain-text' }}\"", "store_password"),
        ('store_password: "plain-{{ inventory_hostname }}"', "store_password"),
        ("_hook_token: plain-text", "_hook_token"),
        ("_api_keys: {tiingo: plain-text}", "_api_keys.tiingo"),
    ],
)
def test_a_secret_in_plain_text_is_refused_at_its_key(sandbox, refused, text, key):
    sandbox.add(ALL, "_word: plain\n" if "_word" in text else "")
    sandbox.add(DATABASE, text + "\n")
    refused(f"group_vars/database.yml:2: group database: {key}: a secret in plain text", "vault_NAME", "!vault")


@pytest.mark.parametrize(
    "text",
    [
        'store_password: "{{ vault_store }}"',
        'store_users: {admin: "{{ vault_store }}"}',
        'store_hooks: [{url: x, token: "{{ vault_store }}"}]',
        'store_password: "{{ _secret }}"',
        'store_password: "{{ ansible_user }}-{{ vault_store }}"',
        "store_password: \"{{ lookup('ansible.builtin.env', 'STORE_PASSWORD') }}\"",
        "store_hooks: [{url: x}]",
        "_token_file: /run/token",
        '_proxy: "http://me:{{ vault_store }}@proxy.example:3128"',
    ],
)
def test_a_secret_of_the_vault_is_accepted(sandbox, text):
    sandbox.add(ALL, '_secret: "{{ vault_store }}"\n')
    sandbox.add(DATABASE, text + "\n")
    assert sandbox.lines() == []


def test_a_secret_in_a_file_that_is_encrypted_as_a_whole_is_accepted(sandbox):
    sandbox.encrypt_as("inventory/main/group_vars/database/vault.yml", "store_password: a-secret-of-its-own-2\n")
    (sandbox.root / DATABASE).rename(sandbox.inventory / "group_vars" / "database" / "vars.yml")
    assert sandbox.lines() == []


@pytest.mark.parametrize(
    "text",
    [
        '_key: "-----BEGIN OPENSSH PRIVATE KEY-----"',
        "_sources: [{uri: 'https://me:hunter2@archive.example/debian'}]",
        "ansible_ssh_common_args: -o ProxyCommand='sshpass -p hunter2 ssh bastion'",
    ],
)
def test_a_value_that_shows_its_secret_is_refused_whatever_its_name(sandbox, refused, text):
    sandbox.add(ALL, f"{text}\n")
    line = refused("group_vars/all.yml:5: all: ", "holds a private key or a password in plain text")
    assert "hunter2" not in line


def test_a_long_secret_that_repeats_itself_is_refused(sandbox, refused):
    sandbox.encrypt("all: {vars: {vault_store: aaaaaaaaaaaaaaaaaaaaaaaa}}\n")
    refused("secrets.yml:1: all: vault_store: repeats 1 characters", "make secrets")


@pytest.mark.parametrize(("text", "word"), [("0123", "a number"), ("1234567", "a number"), ("yes", "yes or no")])
def test_a_secret_that_is_no_text_is_refused(sandbox, text, word):
    sandbox.encrypt(f"all: {{vars: {{vault_store: {text}}}}}\n")
    assert any("vault_store: YAML reads this secret as" in line and word in line for line in sandbox.lines())


def test_equal_secrets_are_refused(sandbox, refused):
    sandbox.encrypt("all:\n  vars:\n    vault_store: a-secret-of-its-own\n    vault_other: a-secret-of-its-own\n")
    refused("secrets.yml:4: all: vault_other: has the value of vault_store", "give each secret its own")


def test_the_words_of_a_secret_are_in_no_line(sandbox):
    sandbox.add(DATABASE, "store_password: hunter2-hunter2\nstore_users: [hunter2-hunter2]\n")
    assert sandbox.lines()
    assert not any("hunter2" in line for line in sandbox.lines())
