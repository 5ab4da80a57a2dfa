# SPDX-License-Identifier: Apache-2.0
"""The pages that lead to production are walked as they are printed, in a clone and with a home of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.parsing.vault import VaultLib, VaultSecret

from fleet.paths import PROJECT

PAGES = PROJECT / "docs" / "how-to"
BLOCK = re.compile(r"(?:<!-- (?P<label>[^>]+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
LINKED = "Makefile ansible.cfg docs fleet group_vars playbooks plugins pyproject.toml requirements roles services"
# What needs hosts: here only that make knows the words. The lab does them (tests/integration/test_go_to_production.py).
SLOW = re.compile(r"make (?=check\b(?!-)|site|verify|setup)")
SECRETS = "inventory/production/secrets.yml"
PASSWORD = "inventory/production/.vault-password"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def commands(page: str) -> list[str]:
    """Return the commands of a page that need no host, in their order."""
    text = (PAGES / page).read_text()
    blocks = [block["text"] for block in BLOCK.finditer(text) if block["kind"] == "console" and not block["label"]]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [SLOW.sub("make -n ", line.removeprefix("$ ")) for line in lines]


def labelled(page: str, label: str) -> str:
    """Return the one block of a page that has a label."""
    (text,) = [block["text"] for block in BLOCK.finditer((PAGES / page).read_text()) if block["label"] == label]
    return text


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in LINKED.split():
        (folder / name).symlink_to(PROJECT / name)
    # A folder of its own, whose entries are links: whatever set-up would do here, it would not do to the real one.
    (folder / ".venv").mkdir()
    for entry in (PROJECT / ".venv").iterdir():
        if entry.name != "installed":
            (folder / ".venv" / entry.name).symlink_to(entry)
    python = (folder / ".venv/bin/python").resolve()
    (folder / ".venv/installed").write_text(f"{folder.resolve()}\n{python}\n")
    hidden = shutil.ignore_patterns("secrets.yml", "local.yml", ".vault-password*")
    shutil.copytree(PROJECT / "inventory", folder / "inventory", symlinks=True, ignore=hidden)
    (tmp_path / "home").mkdir()
    return folder


@pytest.fixture
def run(clone: Path) -> Run:
    """Return `run(*commands, check=True)`: one shell session in the clone, in which the first failure is the last."""
    home = clone.parent / "home"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home), "EDITOR": str(editor(home))}

    def session(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        script = "\n".join(["set -e", *words])
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=clone,
            env=environment,
            input="a value\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return session


def editor(home: Path) -> Path:
    """Return a program that keeps what it sees, and at its second call empties the value that the page empties."""
    script = home / "editor"
    script.write_text(
        '#!/bin/sh\ncp "$1" "$0.$(ls "$0".* 2>/dev/null | wc -l)"\n'
        'test ! -e "$0.1" || sed -i \'s/\\(vault_redis_agents:\\).*/\\1 ""/\' "$1"\n'
    )
    script.chmod(0o755)
    return script


def opened(clone: Path, password: str) -> dict[str, Any]:
    vault = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(password.strip().encode()))])
    found: dict[str, Any] = yaml.safe_load(vault.decrypt((clone / SECRETS).read_bytes()))["all"]["vars"]
    return found


def test_the_page_of_secrets_ends_with_a_new_password_one_new_value_and_the_others_as_they_were(clone, run):
    done = run(*commands("secrets.md"))
    seen = [yaml.safe_load((clone.parent / f"home/editor.{n}").read_text())["all"]["vars"] for n in (0, 1)]
    assert seen[0] == seen[1]
    now = opened(clone, (clone / PASSWORD).read_text())
    assert {name for name in now if now[name] != seen[0][name]} == {"vault_redis_agents"}
    assert len(now["vault_redis_agents"]) >= 32
    assert "$ANSIBLE_VAULT;1.1;AES256" in done.stdout
    assert not (clone / f"{PASSWORD}-new").exists()


TABLE = re.findall(r"^\| .+ \| .*`((?:export|\.venv)[^`]+)`.*\|$", (PAGES / "secrets.md").read_text(), re.MULTILINE)
INVENTORY = ".venv/bin/ansible-inventory -i inventory/production --host station"
MADE = ["make secrets INVENTORY=inventory/production", "make check-inventory INVENTORY=inventory/production"]


def test_the_table_has_three_ways_to_name_a_password():
    assert len(TABLE) == 3


@pytest.mark.parametrize("way", [way for way in TABLE if way.startswith("export")])
@pytest.mark.parametrize("kind", ["text", "script"])
def test_a_password_that_the_environment_names_encrypts_and_opens(clone, run, way, kind):
    home = clone.parent / "home"
    for name in ("fleet-password", "old-password"):
        (home / name).write_text(f"#!/bin/sh\necho {name}\n" if kind == "script" else f"{name}\n")
        (home / name).chmod(0o700 if kind == "script" else 0o600)
    done = run(way, *MADE, INVENTORY)
    assert not (clone / PASSWORD).exists()
    value = opened(clone, "fleet-password")["vault_redis_admin"]
    assert value in done.stdout


def test_a_script_beside_the_inventory_is_asked_by_every_verb_and_by_ansible(clone, run):
    script = clone / PASSWORD
    script.write_text("#!/bin/sh\necho from the manager\n")
    script.chmod(0o700)
    done = run(*MADE, f"{INVENTORY} --vault-password-file {PASSWORD}")
    assert opened(clone, "from the manager")["vault_redis_admin"] in done.stdout
    assert script.read_text().startswith("#!")


def test_a_password_that_only_one_run_has_opens_the_secrets_for_that_run(run):
    run(*MADE, f"mv {PASSWORD} ~/fleet-password")
    (way,) = [way for way in TABLE if way.startswith(".venv")]
    words = way.replace("playbooks/site.yml", "playbooks/preflight.yml --limit laptop")
    assert words != way
    run(words)
    assert run(words.replace("--vault-id production@~/fleet-password", ""), check=False).returncode != 0


@pytest.mark.parametrize(
    "way",
    [
        "",
        "export ANSIBLE_VAULT_PASSWORD_FILE=~/absent",
        "export ANSIBLE_VAULT_IDENTITY_LIST=production@~/absent",
        "export ANSIBLE_VAULT_PASSWORD_FILE=~/fails",
        "export ANSIBLE_VAULT_IDENTITY_LIST=production@~/fails,lab@~/absent",
    ],
)
@pytest.mark.parametrize(
    "words", ["encrypt", "encrypt --encrypt-vault-id production", "encrypt --encrypt-vault-id lab"]
)
def test_nothing_is_encrypted_with_a_password_that_nobody_has(clone, run, way, words):
    (clone.parent / "home/fails").write_text("#!/bin/sh\nexit 3\n")
    (clone.parent / "home/fails").chmod(0o700)
    (clone / SECRETS).write_text("all: {vars: {vault_hook: abc}}\n")
    done = run(way, f".venv/bin/ansible-vault {words} {SECRETS}", check=False)
    assert done.returncode != 0
    assert (clone / SECRETS).read_text() == "all: {vars: {vault_hook: abc}}\n"


def test_the_way_to_production_ends_with_an_inventory_outside_of_the_clone_that_the_check_accepts(clone, run):
    home = clone.parent / "home"
    key = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "key")], check=True)
    assert key.returncode == 0
    words = commands("go-to-production.md")
    policy = labelled("go-to-production.md", "file ~/fleet/group_vars/all.yml")
    begin = words.index("export INVENTORY=~/fleet") + 1
    public = (home / "key.pub").read_text().strip()
    (home / "all.yml").write_text(policy.replace("ssh-ed25519 AAAA... you@desk", public))
    edit = "mkdir ~/fleet/group_vars && cp ~/all.yml ~/fleet/group_vars/all.yml"
    done = run(*words[:begin], edit, *words[begin:])
    assert f"{home}/fleet: 8 hosts" in done.stdout
    assert sorted(path.name for path in (home / "fleet").iterdir() if path.name != ".git") == [
        ".gitignore",
        ".vault-password",
        "group_vars",
        "host_vars",
        "hosts.yml",
        "secrets.yml",
    ]
    status = run("cd ~/fleet && git add . && git status --short").stdout
    assert ".vault-password" not in status
    assert "secrets.yml" in status
    run("export INVENTORY=~/fleet", *commands("take-a-new-version.md"), "git -C ~/fleet diff --exit-code")


def test_the_user_data_makes_exactly_the_user_that_the_plays_log_in_as():
    text = labelled("go-to-production.md", "user-data")
    assert text.startswith("#cloud-config\n")
    data = yaml.safe_load(text)
    (user,) = data["users"]
    access = yaml.safe_load((PROJECT / "group_vars/all/access.yml").read_text())
    assert user["name"] == access["ansible_user"]
    assert user["lock_passwd"] is True
    assert data["ssh_pwauth"] is False


def test_the_groups_that_the_page_says_turn_nothing_on_are_those_without_a_play():
    ledger = yaml.safe_load((PROJECT / "group_vars/all/groups.yml").read_text())["fleet_groups_without_play"]
    # These two name hosts that differ from the others; nobody waits for a play of theirs.
    waiting = set(ledger) - {"containers", "lab"}
    (line,) = re.findall(
        r"\*\*Groups without a play\*\*: (.*?) turn nothing on", (PAGES / "go-to-production.md").read_text()
    )
    assert set(re.findall(r"`(\w+)`", line)) == waiting


@pytest.mark.parametrize("words", ["", "'not a key'", "'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me'"])
def test_the_script_for_the_user_refuses_what_is_no_key_before_it_changes_anything(run, words):
    done = run(f"sh docs/how-to/make-ops.sh {words}", check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
