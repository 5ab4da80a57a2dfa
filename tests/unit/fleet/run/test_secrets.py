# SPDX-License-Identifier: Apache-2.0
"""`make secrets` writes what is missing, encrypted with a password that somebody has, and never loses a value."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.parsing.vault import VaultLib, VaultSecret

from fleet.model.named import PASSWORD_FILE
from fleet.run.secrets import EXAMPLE, fill, main

NAMES = list(yaml.safe_load(EXAMPLE.read_text())["all"]["vars"])
WORD = "a password of my own"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "hosts.yml").write_text("all: {hosts: {a: }}\n")
    return folder


def vault(password: str) -> VaultLib:
    return VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(password.encode()))])


def text(folder: Path, password: str = "") -> str:
    password = password or (folder / PASSWORD_FILE).read_text().strip()
    decrypted: bytes = vault(password).decrypt((folder / "secrets.yml").read_bytes())
    return decrypted.decode()


def values(folder: Path, password: str = "") -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(text(folder, password))["all"]["vars"]
    return found


def test_every_name_of_the_example_gets_a_long_value_of_its_own_in_files_for_nobody_else(folder, capsys):
    assert main([str(folder)]) == 0
    assert list(values(folder)) == NAMES
    assert len({value for value in values(folder).values() if len(value) >= 32}) == len(NAMES)
    assert {(folder / name).stat().st_mode & 0o777 for name in ("secrets.yml", PASSWORD_FILE)} == {0o600}
    said = capsys.readouterr().out
    assert f"{folder}/secrets.yml: {len(NAMES)} new secrets" in said
    assert not any(value in said for value in values(folder).values())


def test_a_second_call_writes_nothing(folder, capsys):
    main([str(folder)])
    before = [(folder / name).read_bytes() for name in ("secrets.yml", PASSWORD_FILE)]
    assert main([str(folder)]) == 0
    assert [(folder / name).read_bytes() for name in ("secrets.yml", PASSWORD_FILE)] == before
    assert "nothing was written" in capsys.readouterr().out


@pytest.mark.parametrize(
    "typed",
    [
        "all:\n  vars:\n    # from Anna, until March\n    vault_hook: abc\n"
        "    vault_redis_admin: change-me\n    vault_redis_agents:\n",
        "all:\n  vars: {vault_hook: abc, vault_redis_admin: '', vault_redis_agents: ~} # from Anna, until March\n",
        "# from Anna, until March\nall:\n    vars:\n        vault_redis_agents: change-me\n        vault_hook: abc\n",
    ],
)
@pytest.mark.parametrize("encrypted", [True, False])
def test_what_a_person_typed_stays_and_only_what_is_missing_is_filled_in(folder, typed, encrypted):
    (folder / PASSWORD_FILE).write_text(WORD)
    (folder / "secrets.yml").write_text(vault(WORD).encrypt(typed).decode() if encrypted else typed)
    fill(folder)
    found = values(folder)
    assert found["vault_hook"] == "abc"
    assert "# from Anna, until March" in text(folder)
    assert {"vault_hook", *NAMES} == set(found)
    assert all(len(found[name]) >= 32 for name in NAMES)


def test_values_that_are_there_are_kept(folder):
    (folder / PASSWORD_FILE).write_text(WORD)
    kept = "all:\n  vars:\n    vault_redis_admin: a-value-of-twenty-characters\n"
    (folder / "secrets.yml").write_bytes(vault(WORD).encrypt(kept))
    fill(folder)
    assert values(folder)["vault_redis_admin"] == "a-value-of-twenty-characters"


def test_secrets_in_plain_text_are_encrypted_and_their_owner_is_told(folder, capsys):
    complete = {"all": {"vars": {name: f"{name}-of-my-own-making" for name in NAMES}}}
    (folder / "secrets.yml").write_text(yaml.safe_dump(complete))
    assert main([str(folder)]) == 0
    assert yaml.safe_load(text(folder)) == complete
    assert "in plain text until now" in capsys.readouterr().out


@pytest.mark.parametrize("way", ["file", "script", "identity"])
def test_the_password_of_the_environment_encrypts_and_no_other_is_made(folder, monkeypatch, way):
    source = folder.parent / "pw"
    source.write_text(f"#!/bin/sh\necho '{WORD}'\n" if way == "script" else f"{WORD}\n")
    source.chmod(0o700 if way == "script" else 0o600)
    monkeypatch.setenv("HOME", str(folder.parent))
    if way == "identity":
        monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", "prod@~/pw")
    else:
        monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "~/pw")
    fill(folder)
    assert not (folder / PASSWORD_FILE).exists()
    assert set(values(folder, WORD)) == set(NAMES)


def test_the_password_beside_the_inventory_comes_before_that_of_the_environment(folder, monkeypatch):
    (folder / PASSWORD_FILE).write_text(WORD)
    (folder.parent / "pw").write_text("of another fleet")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(folder.parent / "pw"))
    fill(folder)
    assert set(values(folder, WORD)) == set(NAMES)


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\n", None])
def test_where_the_named_source_gives_no_password_nothing_is_written(folder, monkeypatch, capsys, script):
    source = folder.parent / "pw"
    if script is not None:
        source.write_text(script)
        source.chmod(0o700)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(source))
    assert main([str(folder)]) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["hosts.yml"]
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize("password", [None, "another"])
def test_secrets_that_cannot_be_opened_are_left_as_they_are(folder, capsys, password):
    sealed = vault(WORD).encrypt("all: {vars: {vault_hook: abc}}\n")
    (folder / "secrets.yml").write_bytes(sealed)
    if password:
        (folder / PASSWORD_FILE).write_text(password)
    assert main([str(folder)]) == 2
    assert (folder / "secrets.yml").read_bytes() == sealed
    assert (folder / PASSWORD_FILE).exists() == (password is not None)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("typed", ["all: [\n", "vault_redis_admin: x\n", "- a\n", "all: {vars: }\n"])
def test_a_file_of_another_shape_is_refused_and_left_as_it_is(folder, capsys, typed):
    (folder / "secrets.yml").write_text(typed)
    assert main([str(folder)]) == 2
    assert (folder / "secrets.yml").read_text() == typed
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_folder_that_is_none_is_refused(folder, capsys):
    assert main([str(folder.parent / "mien")]) == 2
    assert "did you mean" in capsys.readouterr().err
