# SPDX-License-Identifier: Apache-2.0
"""The event bus's access list: what is wrong with it, and the file that Redis reads."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from fleet.model.rules import Refusal

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


def acl_refusals(users: Mapping[str, Any], passwords: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield what is wrong with users and passwords; no line carries a password.

    Args:
        users: rules by user name (redis_users).
        passwords: password by user name (redis_passwords).
    """
    for name in NEEDED:
        if name not in users:
            yield Refusal(
                "redis_users", f"user {name} is missing, the role needs it", "put it back, as in the defaults"
            )
    for name, rules in users.items():
        yield from _user_refusals(name, rules)
        yield from _password_refusals(name, passwords.get(name))
    for name in passwords:
        if name not in users:
            yield Refusal(f"redis_passwords.{name}", "is no user of redis_users", "remove it, or add the user")


def _user_refusals(name: str, rules: object) -> Iterator[Refusal]:
    key = f"redis_users.{name}"
    if not NAME.fullmatch(name) or name == "default":
        yield Refusal(key, "cannot be a user's name", "take letters, digits, '_', '.', '-'; default stays off")
    elif not isinstance(rules, str):
        yield Refusal(key, "its rules are not a text", "write them in one text")
    else:
        for rule in rules.split():
            if CREDENTIAL_RULE.fullmatch(rule):
                wrong = f"a rule sets a password or a state ({rule[:1]}...)"
                yield Refusal(key, wrong, "leave it out: passwords are in redis_passwords")


def _password_refusals(name: str, password: object) -> Iterator[Refusal]:
    key, right = f"redis_passwords.{name}", f"set vault_redis_{name} in the inventory's secrets.yml"
    if not isinstance(password, str) or not password:
        yield Refusal(key, "is no password", right)
    elif len(password) < SHORTEST_PASSWORD:
        yield Refusal(key, f"has {len(password)} characters, {SHORTEST_PASSWORD} are the least", right)
    elif not PASSWORD.fullmatch(password):
        yield Refusal(key, "has a blank, quote, backslash or letter outside ASCII", right)


def acl_file(users: Mapping[str, str], passwords: Mapping[str, str]) -> str:
    """Return the access list for Redis: no log-in as default, every other user closed, then opened by its rules.

    Args:
        users: rules by user name (redis_users).
        passwords: password by user name (redis_passwords).

    Raises:
        AnsibleFilterError: users and passwords do not pass acl_refusals.
    """
    for refusal in acl_refusals(users, passwords):
        raise AnsibleFilterError(str(refusal))
    lines = [DEFAULT_USER]
    for name in sorted(users):
        rules = " ".join(users[name].split())
        lines.append(f"user {name} on #{password_hash(passwords[name])} {CLOSED} {rules}")
    return "\n".join(lines) + "\n"


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"redis_acl_file": acl_file}
