# SPDX-License-Identifier: Apache-2.0
"""The event bus's access list."""

from __future__ import annotations

import hashlib
import string

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from roles.redis.filter_plugins.redis_acl import FilterModule, acl_file, password_hash

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


def test_the_file_is_not_written_from_bad_input() -> None:
    with pytest.raises(AnsibleFilterError, match=r"redis_passwords.admin: is no password"):
        acl_file(USERS, PASSWORDS | {"admin": ""})


def test_ansible_finds_the_filters() -> None:
    assert set(FilterModule().filters()) == {"redis_acl_file"}
