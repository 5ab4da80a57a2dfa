# SPDX-License-Identifier: Apache-2.0
"""What the project offers an inventory: which play turns which roles on where, and what a role can be told."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.inventory.manager import split_host_pattern
from ansible.parsing.dataloader import DataLoader

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Play:
    """One play of the site: its layer, the hosts it is for and the roles it applies."""

    layer: str
    pattern: str
    roles: tuple[str, ...]

    @property
    def groups(self) -> frozenset[str]:
        """Return the groups and hosts that the pattern asks for; those it excludes do not count."""
        return frozenset(term.lstrip("&") for term in split_host_pattern(self.pattern) if not term.startswith("!"))


@dataclass(frozen=True)
class Role:
    """What a role can be told: the options of its specification and its defaults."""

    name: str
    options: Spec
    defaults: Mapping[str, Any]


def hosts_matching(pattern: str, groups: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the hosts of a play's `hosts:` pattern.

    Args:
        pattern: names and wildcards, joined by `:` or `,`; `!` excludes, `&` intersects.
        groups: group name -> its hosts, `all` among them (Ansible's variable of that name).
    """

    def named(term: str) -> set[str]:
        if term.startswith("~") or "[" in term:
            raise ValueError(f"hosts: {pattern}: regular expressions and ranges are not used here; name a group")
        hosts = {host for host in groups.get("all", ()) if fnmatch.fnmatchcase(host, term)}
        for group, members in groups.items():
            if fnmatch.fnmatchcase(group, term):
                hosts.update(members)
        return hosts

    terms = split_host_pattern(pattern)
    chosen = set().union(*(named(term) for term in terms if term[0] not in "!&"))
    for term in terms:
        if term.startswith("&"):
            chosen &= named(term[1:])
        elif term.startswith("!"):
            chosen -= named(term[1:])
    return frozenset(chosen)


class Project:
    """The plays of playbooks/site.yml and the roles folder, read through Ansible's loader."""

    def __init__(self, folder: Path, loader: DataLoader) -> None:
        self.folder = folder
        self._loader = loader
        self._roles: dict[str, Role] = {}

    @cached_property
    def plays(self) -> tuple[Play, ...]:
        """Return all plays of the site in their order."""
        return tuple(self._plays(self.folder / "playbooks" / "site.yml"))

    @cached_property
    def role_names(self) -> tuple[str, ...]:
        """Return the names of all roles that the project has."""
        return tuple(sorted(folder.name for folder in (self.folder / "roles").glob("*") if folder.is_dir()))

    def role(self, name: str) -> Role:
        """Return one role; it is read when it is asked for first."""
        if name not in self._roles:
            self._roles[name] = self._read_role(self.folder / "roles" / name)
        return self._roles[name]

    @cached_property
    def inventory_options(self) -> Spec:
        """Return the options of inventory/argument_specs.yml: what an inventory may say beside role variables."""
        return self._options(self.folder / "inventory" / "argument_specs.yml")

    def roles_by_host(self, groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Return host -> roles in the order in which the site applies them; hosts without roles are left out.

        A role that a play names and the project does not have is left out too: ansible-lint reports it.
        """
        found: dict[str, dict[str, None]] = {}
        for play in self.plays:
            known = [role for role in play.roles if role in self.role_names]
            if not known:
                continue  # its pattern may be a template, as preflight.yml's is
            for host in hosts_matching(play.pattern, groups):
                found.setdefault(host, {}).update(dict.fromkeys(known))
        return {host: tuple(roles) for host, roles in found.items()}

    def layers_by_host(self, groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
        """Return host -> layers that apply roles to it, in the order of the site."""
        found: dict[str, dict[str, None]] = {}
        for play in self.plays:
            if play.roles:
                for host in hosts_matching(play.pattern, groups):
                    found.setdefault(host, {})[play.layer] = None
        return {host: tuple(layers) for host, layers in found.items()}

    def _plays(self, playbook: Path) -> Iterator[Play]:
        for entry in self._loader.load_from_file(str(playbook)) or ():
            imported = entry.get("ansible.builtin.import_playbook")
            if imported:
                # A dangling import is ansible-lint's to report.
                if (playbook.parent / imported).exists():
                    yield from self._plays(playbook.parent / imported)
                continue
            hosts = entry["hosts"]
            pattern = hosts if isinstance(hosts, str) else ":".join(hosts)
            layer = str(entry.get("name", pattern)).partition(":")[0].strip().lower()
            yield Play(layer, pattern, tuple(_role_name(role) for role in entry.get("roles", ())))

    def _read_role(self, folder: Path) -> Role:
        defaults = folder / "defaults" / "main.yml"
        values = self._loader.load_from_file(str(defaults), trusted_as_template=True) if defaults.exists() else None
        return Role(folder.name, self._options(folder / "meta" / "argument_specs.yml"), values or {})

    def _options(self, file: Path) -> Spec:
        if not file.exists():
            return {}
        content = self._loader.load_from_file(str(file)) or {}
        return content.get("argument_specs", {}).get("main", {}).get("options") or {}


def _role_name(entry: str | Mapping[str, Any]) -> str:
    return entry if isinstance(entry, str) else str(entry.get("role", entry.get("name")))
