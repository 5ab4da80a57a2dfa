# SPDX-License-Identifier: Apache-2.0
"""A variable of a role is set where a host has the role; anywhere else nobody reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.check.groups import NEEDS
from fleet.model.model import Fleet
from fleet.model.problems import Problem


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield variables of a group or host that no role of its hosts reads."""
    readers, roles = _readers(fleet), _roles_by_option(fleet)
    for item in fleet.definitions:
        names = roles.get(item.key, frozenset()) & readers.keys()
        hosts = fleet.members.get(item.owner.removeprefix("group "), ()) if item.owner != "all" else ()
        hosts = (item.owner,) if item.owner in fleet.hosts else hosts
        if not names or not hosts or _needs_more(fleet, item.owner, hosts):
            continue
        if not any(host in readers[name] for name in names for host in hosts):
            words = ", ".join(sorted(names))
            whose = "this host has not" if item.owner in fleet.hosts else "no host of this group has"
            right = "add the host to a group that has it, or remove the variable"
            yield Problem(item.place, item.owner, item.key, f"a variable of the role {words}, which {whose}", right)


def _needs_more(fleet: Fleet, owner: str, hosts: tuple[str, ...]) -> bool:
    """Tell whether the check of groups already says what a group lacks."""
    needed = NEEDS.get(owner.removeprefix("group "), {})
    return any(host not in fleet.members.get(other, ()) for other in needed for host in hosts)


def _readers(fleet: Fleet) -> Mapping[str, frozenset[str]]:
    """Return role -> the hosts that would have it if no play excluded any, as containers share files."""
    found: dict[str, frozenset[str]] = {}
    for pattern, roles in fleet.project.roles_by_pattern.items():
        hosts = fleet.matching(pattern)
        for role in roles:
            found[role] = found.get(role, frozenset()) | hosts
    return found


def _roles_by_option(fleet: Fleet) -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for role in fleet.project.role_names:
        for key in fleet.project.role(role).options:
            found[key] = found.get(key, frozenset()) | {role}
    return found
