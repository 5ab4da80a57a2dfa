# SPDX-License-Identifier: Apache-2.0
"""The event bus's access list: what is wrong with it, and the file that Redis reads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

SHORTEST_PASSWORD = 20
# The role itself logs in as these two.
NEEDED = ("admin", "exporter")
NAME = re.compile(r"[A-Za-z0-9_.-]+")
# A rule may only say what a user may do: log-in, on and off belong to the role (redis.io/docs, ACL rules).
CREDENTIAL_RULE = re.compile(r"[<>#!].*|on|off|nopass|resetpass|reset", re.IGNORECASE)
# What needs no quoting in JSON and in a line of redis-cli.
PASSWORD = re.compile(r"[!#-&(-\[\]-~]+")
CLOSED = "sanitize-payload resetchannels -@all"
# Nobody can log in as default, yet it keeps its permissions: the append-only file is replayed in its name, and each
# transaction in it, group reads included, that default may not run is dropped without a word (redis/redis#14541, fixed
# in November 2025, valkey-io/valkey#3983; seen with 7.0.15 and 8.0.2).
DEFAULT_USER = "user default off resetpass sanitize-payload ~* &* +@all"


def password_hash(password: str) -> str:
    """Return the form in which Redis stores a password: SHA-256 in lower-case hexadecimal digits."""
    return hashlib.sha256(password.encode()).hexdigest()


def acl_problems(users: Mapping[str, str], passwords: Mapping[str, str]) -> list[str]:
    """Say what is wrong with users and passwords, one line each; no line carries a password.

    Args:
        users: rules by user name (redis_users).
        passwords: password by user name (redis_passwords).
    """
    lines = [f"redis_users: user {name} is missing, the role needs it" for name in NEEDED if name not in users]
    for name, rules in users.items():
        lines += _user_problems(name, rules)
        lines += _password_problems(name, passwords.get(name))
    lines += [f"redis_passwords: {name} is no user of redis_users" for name in passwords if name not in users]
    return lines


def _user_problems(name: str, rules: object) -> list[str]:
    if not NAME.fullmatch(name) or name == "default":
        return [f"redis_users: {name!r} cannot be a user's name: letters, digits, '_', '.', '-'; default stays off"]
    if not isinstance(rules, str):
        return [f"redis_users: the rules of {name} are not a text"]
    return [
        f"redis_users: a rule of {name} sets a password or a state ({rule[:1]}...); passwords stand in redis_passwords"
        for rule in rules.split()
        if CREDENTIAL_RULE.fullmatch(rule)
    ]


def _password_problems(name: str, password: object) -> list[str]:
    where = f"redis_passwords: {name}"
    remedy = f"set vault_redis_{name} in the inventory's secrets.yml"
    if not isinstance(password, str) or not password:
        return [f"{where} has no password: {remedy}"]
    if len(password) < SHORTEST_PASSWORD:
        return [f"{where} has a password of {len(password)} characters, {SHORTEST_PASSWORD} are the least: {remedy}"]
    if not PASSWORD.fullmatch(password):
        return [f"{where} has a password with a blank, quote, backslash or letter outside ASCII: {remedy}"]
    return []


def acl_file(users: Mapping[str, str], passwords: Mapping[str, str]) -> str:
    """Return the access list for Redis: no log-in as default, every other user closed, then opened by its rules.

    Args:
        users: rules by user name (redis_users).
        passwords: password by user name (redis_passwords).

    Raises:
        AnsibleFilterError: users and passwords do not pass acl_problems.
    """
    problems = acl_problems(users, passwords)
    if problems:
        raise AnsibleFilterError("; ".join(problems))
    lines = [DEFAULT_USER]
    for name in sorted(users):
        rules = " ".join(users[name].split())
        lines.append(f"user {name} on #{password_hash(passwords[name])} {CLOSED} {rules}")
    return "\n".join(lines) + "\n"


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"redis_acl_file": acl_file, "redis_acl_problems": acl_problems}
