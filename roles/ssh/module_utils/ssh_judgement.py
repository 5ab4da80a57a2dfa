# SPDX-License-Identifier: Apache-2.0
"""Whether a configuration of sshd lets a connection in, and takes effect: judged from what `sshd -T` prints; pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.host import ssh_keys
    from fleet.host.ssh_connection import Connection
else:
    from ansible.module_utils import ssh_keys
    from ansible.module_utils.ssh_connection import Connection

# sshd_config(5): these add up over all files; of every other keyword the first value counts.
ADDED_UP = ("port", "allowgroups", "hostkey")


@dataclass(frozen=True)
class Account:
    """What the host knows about the user of the connection."""

    groups: frozenset[str]
    keys: tuple[ssh_keys.Key, ...] | None  # None: they come from a command or a CA, so they cannot be seen


def parse_effective(text: str) -> dict[str, list[str]]:
    """Read the output of `sshd -T`: keyword -> its values, a line each."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        values.setdefault(keyword.lower(), []).append(value)
    return values


def matches(text: str, pattern: str) -> bool:
    """Match as sshd does: * and ? are the only wildcards."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text) is not None


def user_matches(connection: Connection, pattern: str) -> bool:
    """Match an entry of AllowUsers or DenyUsers: a user, or user@host with an address, a pattern or a network."""
    user, at, host = pattern.rpartition("@")
    if not at:
        return matches(connection.user, host)
    if not matches(connection.user, user):
        return False
    return address_matches(connection.address, host)


def address_matches(address: str, pattern: str) -> bool:
    """Match an address with a network or a pattern."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return matches(address, pattern)


def listens(effective: Mapping[str, Sequence[str]], address: str, port: int) -> bool:
    """Whether the configuration listens where a connection to this address and port comes in."""
    any_address = "::" if ":" in address else "0.0.0.0"  # noqa: S104  (compared, not bound)
    places = (value.rpartition(":") for value in effective.get("listenaddress", ()))
    return any(host.strip("[]") in {address, any_address} and number == str(port) for host, _, number in places)


def key_refusal(
    key: ssh_keys.Key, connection: Connection, effective: Mapping[str, Sequence[str]], now: datetime | None = None
) -> str:
    """Say why a line of authorized_keys does not let a connection like this one in; nothing when it does.

    Args:
        key: the line.
        connection: the connection in use.
        effective: what `sshd -T` prints for it.
        now: the time, None for the clock's.
    """
    wrong = ssh_keys.problem(f"{key.kind} {key.data}")
    if wrong:
        return wrong
    if key.expired(now or datetime.now(UTC)):
        return "has expired (expiry-time)"
    if key.option("command") is not None:
        return "runs one command only (command=)"
    sources = key.option("from")
    if sources is not None and not source_matches(connection.address, sources):
        return f"does not come from {connection.address} (from=)"
    algorithms = frozenset(",".join(effective.get("pubkeyacceptedalgorithms", ())).split(","))
    # OpenSSH before 9.1 asks for no size and prints none.
    return ssh_keys.unaccepted(key, algorithms, int("".join(effective.get("requiredrsasize", ())) or 0))


def source_matches(address: str, patterns: str) -> bool:
    """Match the addresses of the option from=: patterns and networks; one with ! in front excludes."""
    hits = {pattern.startswith("!") for pattern in patterns.split(",") if address_matches(address, pattern.lstrip("!"))}
    return hits == {False}


def words_of(effective: Mapping[str, Sequence[str]], keyword: str) -> list[str]:
    """Return the words of all values of a keyword."""
    return " ".join(effective.get(keyword, ())).split()


def _name_reasons(connection: Connection, account: Account, effective: Mapping[str, Sequence[str]]) -> list[str]:
    """Say why user or groups are refused, in the order in which sshd looks."""
    user, groups = connection.user, sorted(account.groups)
    reasons = []
    allowed, denied = words_of(effective, "allowusers"), words_of(effective, "denyusers")
    if any(user_matches(connection, pattern) for pattern in denied):
        reasons.append(f"DenyUsers names {user}")
    if allowed and not any(user_matches(connection, pattern) for pattern in allowed):
        reasons.append(f"AllowUsers does not name {user}")
    allowed, denied = words_of(effective, "allowgroups"), words_of(effective, "denygroups")
    hit = [group for group in groups if any(matches(group, pattern) for pattern in denied)]
    if hit:
        reasons.append(f"DenyGroups names {hit[0]}, a group of {user}")
    if allowed and not any(matches(group, pattern) for group in groups for pattern in allowed):
        reasons.append(
            f"{user} is in no group of AllowGroups ({', '.join(allowed)}) but in {', '.join(groups)}:"
            " add the user (base_admin_groups) or allow one of these (ssh_allow_groups)"
        )
    return reasons


def _authentication_reasons(
    connection: Connection, account: Account, effective: Mapping[str, Sequence[str]]
) -> list[str]:
    """Say why the user's key would not be enough."""
    reasons = []
    root = words_of(effective, "permitrootlogin")
    if connection.user == "root" and root and root[0] not in {"yes", "prohibit-password", "without-password"}:
        reasons.append(
            "PermitRootLogin refuses root, whose connection this is: connect as the administrator (ansible_user)"
        )
    if words_of(effective, "pubkeyauthentication") == ["no"]:
        reasons.append("PubkeyAuthentication is no")
    methods = words_of(effective, "authenticationmethods")
    if methods and not {"any", "publickey"} & set(methods):
        reasons.append(f"AuthenticationMethods ({' '.join(methods)}) asks for more than a key")
    if account.keys is not None:
        refused = [key_refusal(key, connection, effective) for key in account.keys]
        if all(refused):
            found = "; ".join(f"one {words}" for words in dict.fromkeys(refused)) or "it has none"
            reasons.append(f"{connection.user} has no authorised key that lets in ({found}): add one (base_admin_keys)")
    if words_of(effective, "forcecommand") not in ([], ["none"]):
        reasons.append(f"ForceCommand leaves {connection.user} no shell")
    return reasons


def lockout_reasons(connection: Connection, account: Account, effective: Mapping[str, Sequence[str]]) -> list[str]:
    """Say why a new connection like the one in use would be refused; pure.

    Args:
        connection: the connection in use.
        account: groups and authorised keys of its user.
        effective: what `sshd -T` prints for this connection under the new configuration.
    """
    reasons = []
    if not listens(effective, connection.local_address, connection.local_port):
        reasons.append(
            f"this connection comes in at {connection.local_address} port {connection.local_port}, where the new"
            f" configuration does not listen ({', '.join(effective.get('listenaddress', ()))}): keep it as"
            " ssh_transition_port or in ssh_listen_addresses until the inventory connects elsewhere"
        )
    reasons += _name_reasons(connection, account, effective)
    reasons += _authentication_reasons(connection, account, effective)
    return reasons


def wanted_values(content: str) -> dict[str, list[str]]:
    """Read the part of a drop-in that stands before its Match blocks: keyword -> its values, a line each."""
    lines = [line.strip() for line in content.splitlines()]
    head = []
    for line in lines:
        if line.lower().startswith("match "):
            break
        if line and not line.startswith("#"):
            head.append(line)
    return parse_effective("\n".join(head))


def overruled(content: str, effective: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the keywords of the drop-in that do not take effect, with the value that does; pure."""
    wrong = {}
    for keyword, values in wanted_values(content).items():
        if keyword == "listenaddress":
            continue
        wanted, found = " ".join(values).lower(), " ".join(effective.get(keyword, ())).lower()
        same = set(wanted.split()) == set(found.split()) if keyword in ADDED_UP else wanted == found
        if not same:
            wrong[keyword] = found or "nothing"
    return wrong
