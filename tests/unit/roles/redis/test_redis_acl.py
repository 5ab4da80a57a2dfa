# SPDX-License-Identifier: Apache-2.0
"""The event bus's access list."""

from __future__ import annotations

import hashlib
import string

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from roles.redis.filter_plugins.redis_acl import FilterModule, acl_file, acl_problems, password_hash

USERS = {"admin": "~* &* +@all", "exporter": "%R~* +info", "agents": "~md:* +xadd"}
PASSWORDS = {name: f"{name}-" + "x" * 24 for name in USERS}
NAMES = st.text(string.ascii_lowercase + string.digits + "_-", min_size=1, max_size=12).filter(lambda n: n != "default")
GOOD_PASSWORDS = st.text(
    string.ascii_letters + string.digits + "!#$%&()*+,-./:;<=>?@[]^_{|}~", min_size=20, max_size=64
)


def test_a_password_is_stored_as_its_sha256() -> None:
    assert password_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_every_user_starts_closed_and_is_opened_by_its_rules() -> None:
    lines = acl_file(USERS, PASSWORDS).splitlines()
    digest = hashlib.sha256(PASSWORDS["agents"].encode()).hexdigest()
    assert lines[2] == f"user agents on #{digest} sanitize-payload resetchannels -@all ~md:* +xadd"


def test_nobody_can_log_in_as_default_which_may_still_replay_transactions() -> None:
    first = acl_file(USERS, PASSWORDS).splitlines()[0].split()
    assert first[:4] == ["user", "default", "off", "resetpass"]
    assert {"~*", "+@all"} <= set(first)


def test_rules_over_several_lines_become_one_line_each() -> None:
    users = USERS | {"agents": "~md:*\n  +xadd\n\n+xread"}
    assert acl_file(users, PASSWORDS).splitlines()[2].endswith("~md:* +xadd +xread")


@given(st.dictionaries(NAMES, GOOD_PASSWORDS, max_size=6))
def test_no_password_stands_in_the_file(extra: dict[str, str]) -> None:
    passwords = PASSWORDS | extra
    users = dict.fromkeys(passwords, "+ping") | USERS
    text = acl_file(users, passwords)
    assert not [name for name, password in passwords.items() if password in text]
    assert len(text.splitlines()) == len(users) + 1


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "has no password"),
        (None, "has no password"),
        ("x" * 19, "19 characters, 20 are the least"),
        ("x" * 20 + " ", "blank, quote"),
        ("x" * 20 + '"', "blank, quote"),
        ("x" * 20 + "\\", "blank, quote"),
        ("x" * 20 + "\u00e9", "outside ASCII"),
    ],
)
def test_a_password_that_cannot_be_used_is_named_with_its_remedy(password: str | None, words: str) -> None:
    passwords = {**PASSWORDS, "agents": password}
    (line,) = acl_problems(USERS, passwords)  # type: ignore[arg-type]
    assert line.startswith("redis_passwords: agents ")
    assert words in line
    assert "vault_redis_agents" in line


@given(st.text(min_size=1, max_size=40))
def test_no_message_carries_a_password(password: str) -> None:
    secret = f"hunter2{password}"
    assert not [line for line in acl_problems(USERS, PASSWORDS | {"agents": secret}) if secret in line]


@pytest.mark.parametrize("rule", ["nopass", "NOPASS", ">secret", "<secret", "#abc", "!abc", "on", "off", "reset"])
def test_rules_set_no_password_and_no_state(rule: str) -> None:
    (line,) = acl_problems(USERS | {"agents": f"~md:* {rule} +xadd"}, PASSWORDS)
    assert "agents" in line
    assert "secret" not in line


@pytest.mark.parametrize("name", ["default", "two words", "", "new\nline"])
def test_a_name_that_would_break_the_file_is_refused(name: str) -> None:
    lines = acl_problems(USERS | {name: "+ping"}, PASSWORDS | {name: "x" * 24})
    assert len(lines) == 1
    assert "cannot be a user's name" in lines[0]


def test_users_the_role_needs_and_passwords_without_user_are_named() -> None:
    lines = acl_problems({"admin": "+@all"}, {"admin": "x" * 24, "exporter": "x" * 24})
    assert lines == [
        "redis_users: user exporter is missing, the role needs it",
        "redis_passwords: exporter is no user of redis_users",
    ]


def test_the_file_is_not_written_from_bad_input() -> None:
    with pytest.raises(AnsibleFilterError, match="admin has no password"):
        acl_file(USERS, PASSWORDS | {"admin": ""})


def test_ansible_finds_the_filters() -> None:
    assert set(FilterModule().filters()) == {"redis_acl_file", "redis_acl_problems"}
