# SPDX-License-Identifier: Apache-2.0
"""The fleet: hosts, groups, roles, layers and settings of one inventory folder.

fleet = Fleet.load(Path("inventory/lab"), Path("."))
fleet.hosts                            ("station", "ms01", ...)
fleet.roles("station")                 ("base", "ssh", ..., "redis", ...)
fleet.settings("station")["redis_maxmemory"]
fleet.declared("sysctl", "station")    {"redis": {"vm.overcommit_memory": 1}, ...}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.plugins.loader import filter_loader, init_plugin_loader, lookup_loader, test_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from fleet.model import reading, settings
from fleet.model.problems import Place, Problem
from fleet.model.project import Project
from fleet.model.reading import TolerantLoader, place_of
from fleet.model.settings import Settings

YAML = (".yml", ".yaml")
# What the example has in place of a secret. No rule takes it for one.
PLACEHOLDER = "change-me"


@dataclass(frozen=True)
class Definition:
    """One variable as one file sets it for one group or host."""

    owner: str
    key: str
    value: Any
    place: Place


class Fleet:
    """One inventory folder seen through the plays and roles of the project. Make it with `Fleet.load`."""

    def __init__(self, inventory: Path, project: Path, secrets: Path | None) -> None:
        self.inventory = inventory
        self.project_folder = project
        self.secrets_from = secrets
        self.loader = TolerantLoader()
        self.loader.set_basedir(str(project / "playbooks"))
        reading.open_vault(self.loader, inventory)
        self.project = Project(project, self.loader)
        if AnsibleCollectionConfig.collection_finder is None:
            init_plugin_loader()
        for loader, name in ((filter_loader, "filter"), (lookup_loader, "lookup"), (test_loader, "test")):
            loader.add_directory(str(project / "plugins" / name))
        self._manager = self._read_inventory()
        self._variables = VariableManager(loader=self.loader, inventory=self._manager)
        self._hostvars = HostVars(self._manager, self._variables, self.loader)
        self._settings: dict[str, Settings] = {}

    @classmethod
    def load(cls, inventory: Path, project: Path, secrets: Path | None = None) -> Fleet:
        """Read an inventory folder; what cannot be read is in `problems` instead of raised.

        Args:
            inventory: folder with hosts.yml, group_vars and host_vars.
            project: the project's root, for playbooks/site.yml and roles.
            secrets: a file that stands in for the inventory's secrets.yml, such as the example.
        """
        return cls(inventory.absolute(), project.absolute(), secrets.absolute() if secrets else None)

    def _read_inventory(self) -> InventoryManager:
        sources = [str(file) for file in self.source_files]
        manager = InventoryManager(self.loader, sources=sources, parse=False)
        for file in self.source_files:
            if not self.documents[file]:
                continue
            if not manager.parse_source(str(file)):
                wrong, right = "is no inventory", "write `all: {hosts: ..., children: ..., vars: ...}`"
                self.loader.problems[file] = Problem(Place(file), "-", file.name, wrong, right)
        manager.reconcile_inventory()
        if self.secrets_from is not None:
            document = self.loader.load_from_file(str(self.secrets_from), trusted_as_template=True)
            for key, value in document.get("all", {}).get("vars", {}).items():
                manager.groups["all"].set_variable(key, _stand_in(str(key)) if value == PLACEHOLDER else value)
        return manager

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what could not be read."""
        return tuple(self.loader.problems.values())

    @cached_property
    def source_files(self) -> tuple[Path, ...]:
        """Return the files of the folder that Ansible reads as inventory."""
        return tuple(sorted(file for file in self.inventory.glob("*") if file.suffix in YAML and file.is_file()))

    @cached_property
    def documents(self) -> Mapping[Path, Any]:
        """Return the inventory files as they are written."""
        return {file: self.loader.load_from_file(str(file), trusted_as_template=True) for file in self.source_files}

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Return the names of all hosts in the order of the inventory."""
        return tuple(str(host) for host in self._manager.hosts)

    @cached_property
    def members(self) -> Mapping[str, tuple[str, ...]]:
        """Return group -> its hosts, those of its children included; `all` is one of the groups."""
        return {
            str(name): tuple(str(host.name) for host in group.get_hosts())
            for name, group in self._manager.groups.items()
        }

    def parents(self, group: str) -> frozenset[str]:
        """Return the groups that contain a group, except `all`."""
        return frozenset(str(parent.name) for parent in self._manager.groups[group].get_ancestors()) - {"all"}

    def groups(self, host: str) -> tuple[str, ...]:
        """Return the groups of a host, sorted, without `all`."""
        return tuple(
            sorted(name for name, hosts in self.members.items() if host in hosts and name not in {"all", "ungrouped"})
        )

    def roles(self, host: str) -> tuple[str, ...]:
        """Return the roles that the site applies to a host, in its order."""
        return self._roles.get(host, ())

    def layers(self, host: str) -> tuple[str, ...]:
        """Return the layers that the site applies to a host, in its order."""
        return self._layers.get(host, ())

    def settings(self, host: str) -> Settings:
        """Return a host's variables over the defaults of its roles, rendered when read."""
        if host not in self._settings:
            raw: dict[str, Any] = {}
            for role in self.roles(host):
                raw.update(self.project.role(role).defaults)
            known = self._variables.get_vars(host=self._manager.get_host(host))
            for key in known.keys() & raw.keys():
                del raw[key]  # an equal key keeps its first place in a dict, and with it the wrong file and line
            self._settings[host] = Settings(raw | known, self.loader)
        return self._settings[host]

    def options(self, host: str) -> dict[str, Any]:
        """Return the specification of each variable that the inventory and the roles of a host may be told."""
        found = dict(self.project.inventory_options)
        for role in self.roles(host):
            found |= self.project.role(role).options
        return found

    def declared(self, noun: str, host: str) -> dict[str, Any]:
        """Return {role: value of `<role>_<noun>`} for each role of the host that has this variable."""
        options = {role: self.project.role(role).options for role in self.roles(host)}
        return settings.declared(noun, options, self.settings(host))

    def place(self, host: str, key: str) -> Place:
        """Return where a variable of a host is set, or else where the host itself is."""
        known = self.settings(host)
        if key in known:
            # Merging keeps the first of equal keys and the last of the values: look for the file that has this value.
            value, owners = known.raw(key), {host, "all", *(f"group {name}" for name in self.groups(host))}
            places = [item.place for item in self._by_key.get(key, ()) if item.owner in owners and item.value is value]
            if places:
                return places[-1]
        return known.place(key) or known.place("ansible_host") or Place(self.inventory / "hosts.yml")

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        """Return every variable that the inventory sets, in each place that sets it."""
        return (*self._written_in_sources(), *self._written_in_files())

    @cached_property
    def _by_key(self) -> Mapping[str, list[Definition]]:
        found: dict[str, list[Definition]] = {}
        for item in self.definitions:
            found.setdefault(item.key, []).append(item)
        return found

    def _written_in_sources(self) -> Iterator[Definition]:
        for name, group in self._manager.groups.items():
            yield from _definitions(f"group {name}" if name != "all" else "all", group.vars)
        for name, host in self._manager.hosts.items():
            yield from _definitions(str(name), host.vars)

    def _written_in_files(self) -> Iterator[Definition]:
        for folder, prefix in (("group_vars", "group "), ("host_vars", "")):
            for name, file in vars_files(self.inventory / folder):
                values = self.loader.load_from_file(str(file), trusted_as_template=True) or {}
                yield from _definitions("all" if name == "all" else f"{prefix}{name}", values)

    @cached_property
    def _roles(self) -> Mapping[str, tuple[str, ...]]:
        return self.project.roles_by_host(self.members)

    @cached_property
    def _layers(self) -> Mapping[str, tuple[str, ...]]:
        return self.project.layers_by_host(self.members)


def _stand_in(name: str) -> str:
    """Return a text of the kind that a secret has, another one for each name; the rules are to judge the rest."""
    return hashlib.sha256(name.encode()).hexdigest()


def _definitions(owner: str, values: Mapping[str, Any]) -> Iterator[Definition]:
    for key, value in values.items():
        place = place_of(key)
        if place is not None:  # what Ansible adds by itself stands in no file
            yield Definition(owner, str(key), value, place)


def vars_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (group or host, file) of a group_vars or host_vars folder; `<name>/` holds several files of one name."""
    for entry in sorted(folder.glob("*")):
        if entry.is_dir():
            yield from ((entry.name, file) for file in sorted(entry.rglob("*")) if file.suffix in YAML)
        elif entry.suffix in YAML:
            yield entry.stem, entry
