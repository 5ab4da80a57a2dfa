# SPDX-License-Identifier: Apache-2.0
"""What the project offers an inventory: which play turns which roles on where, and what a role can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.dataloader import DataLoader

from fleet.model.warnings import heard

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

    @property
    def widest(self) -> str:
        """Return the pattern without what it excludes."""
        return ",".join(term for term in split_host_pattern(self.pattern) if not term.startswith("!"))


@dataclass(frozen=True)
class Role:
    """What a role can be told: the options of its specification and its defaults."""

    name: str
    options: Spec
    defaults: Mapping[str, Any]


def hosts_matching(pattern: str, groups: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the hosts of a play's `hosts:` pattern, as Ansible chooses them.

    Args:
        pattern: names and wildcards, joined by `:` or `,`; `!` excludes, `&` intersects, `~` begins a
            regular expression.
        groups: group name -> its hosts, `all` among them (Ansible's variable of that name).
    """
    manager = InventoryManager(DataLoader(), parse=False)
    for group, hosts in groups.items():
        name = manager.add_group(str(group))
        for host in hosts:
            manager.add_host(str(host), name)
    manager.reconcile_inventory()
    with heard():  # an inventory need not have every group of the site
        chosen = {str(host.name) for host in manager.get_hosts(str(pattern))}
    return frozenset(chosen & set(manager.hosts))  # without the localhost that Ansible makes up


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
    def every_play(self) -> tuple[Play, ...]:
        """Return the plays of all playbooks of the folder, a user's own ones among them."""
        files = sorted((self.folder / "playbooks").glob("*.y*ml"))
        plays = dict.fromkeys(play for file in files for play in self._plays(file))
        return tuple(play for play in plays if play.pattern and "{{" not in play.pattern)

    @cached_property
    def groups_of_plays(self) -> frozenset[str]:
        """Return the groups and hosts that any playbook asks for."""
        return frozenset().union(*(play.groups for play in self.every_play))

    @cached_property
    def groups_of_roles(self) -> frozenset[str]:
        """Return the groups and hosts that the site gives a role."""
        return frozenset().union(*(play.groups for play in self.plays if play.roles)) - {"all"}

    @cached_property
    def roles_by_pattern(self) -> Mapping[str, frozenset[str]]:
        """Return pattern without exclusions -> the roles that any playbook gives its hosts."""
        found: dict[str, frozenset[str]] = {}
        for play in self.every_play:
            found[play.widest] = found.get(play.widest, frozenset()) | frozenset(play.roles)
        return found

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
        return self.options_of(self.folder / "inventory" / "argument_specs.yml")

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
        # What is no play at all is ansible-lint's to report, and a dangling import too.
        entries = self._read(playbook)
        for entry in entries if isinstance(entries, list) else ():
            if not isinstance(entry, Mapping):
                continue
            imported = next((entry[word] for word in _IMPORTS if word in entry), None)
            if imported is not None:
                if (playbook.parent / str(imported)).is_file():
                    yield from self._plays(playbook.parent / str(imported))
                continue
            hosts = entry.get("hosts") or ()
            pattern = hosts if isinstance(hosts, str) else ",".join(str(host) for host in hosts)
            layer = str(entry.get("name", pattern)).partition(":")[0].strip().lower()
            yield Play(layer, pattern, tuple(_role_name(role) for role in entry.get("roles") or ()))

    def _read_role(self, folder: Path) -> Role:
        values = self._read(folder / "defaults" / "main.yml")
        values = values if isinstance(values, Mapping) else {}
        options = self.options_of(folder / "meta" / "argument_specs.yml")
        # A role that specifies nothing can be told whatever it has a default for.
        return Role(folder.name, options or {str(name): {"type": "raw"} for name in values}, values)

    def options_of(self, file: Path) -> Spec:
        """Return the options of an argument specification; none when there is no such file."""
        content: Any = self._read(file)
        for key in ("argument_specs", "main", "options"):
            content = content.get(key) if isinstance(content, Mapping) else None
        options = content if isinstance(content, Mapping) else {}
        return {str(name): spec if isinstance(spec, Mapping) else {} for name, spec in options.items()}

    def _read(self, file: Path) -> Any:
        """Return a file's content as Ansible read it, not a copy: nobody here changes it."""
        return self._loader.load_from_file(str(file), unsafe=True, trusted_as_template=True) if file.exists() else None


_IMPORTS = ("ansible.builtin.import_playbook", "ansible.legacy.import_playbook", "import_playbook")


def _role_name(entry: str | Mapping[str, Any]) -> str:
    return entry if isinstance(entry, str) else str(entry.get("role", entry.get("name")))
