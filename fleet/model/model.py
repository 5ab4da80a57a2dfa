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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.plugins.loader import filter_loader, init_plugin_loader, lookup_loader, test_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from fleet.errors import UserError
from fleet.model import ansible_variables, folder, settings, structure, vault
from fleet.model.folder import VarsFile
from fleet.model.named import OWN_SPECIFICATION, PASSWORD_FILE, VARS_FOLDERS, usable
from fleet.model.problems import Place, Problem
from fleet.model.project import Project, Spec, hosts_matching
from fleet.model.reading import TolerantLoader, place_of
from fleet.model.settings import Settings
from fleet.model.warnings import Warned, heard

# Hosts that others refer to and that no play touches.
UNMANAGED = "unmanaged"
# What the example has in place of a secret. No rule takes it for one.
PLACEHOLDER = "change-me"


@dataclass(frozen=True)
class Definition:
    """One variable as one file sets it for one group or host."""

    owner: str
    key: str
    value: Any
    place: Place


@dataclass(frozen=True)
class Given:
    """What a run of Ansible has and a folder does not say: its passwords of the vault, and its variables (-e)."""

    secrets: vault.Secrets
    variables: Mapping[str, Any]


class Fleet:
    """One inventory folder seen through the plays and roles of the project. Make it with `Fleet.load`."""

    def __init__(self, inventory: Path, project: Path, secrets: Path | None, given: Given | None) -> None:
        self.inventory = inventory
        self.project_folder = project
        self.policy = project / "group_vars"
        self.secrets_from = secrets
        self.given = given
        self.loader = TolerantLoader(in_a_run=given is not None)
        self.loader.set_basedir(str(project / "playbooks"))
        self._found = list(vault.open_vault(self.loader, inventory, given.secrets if given else None))
        self.secrets = vault.of_this_process() or ()
        self.project = Project(project, self.loader)
        if AnsibleCollectionConfig.collection_finder is None:
            init_plugin_loader()
        for loader, name in ((filter_loader, "filter"), (lookup_loader, "lookup"), (test_loader, "test")):
            loader.add_directory(str(project / "plugins" / name))
        self.values_instead: set[str] = set()
        self._manager = self._read_inventory()
        self._variables = VariableManager(loader=self.loader, inventory=self._manager)
        self._hostvars = HostVars(self._manager, self._variables, self.loader)
        self._settings: dict[str, Settings] = {}
        self._options: dict[str, dict[str, Any]] = {}

    @classmethod
    def load(cls, inventory: Path, project: Path, secrets: Path | None = None, given: Given | None = None) -> Fleet:
        """Read an inventory folder; what cannot be read is in `problems` instead of raised.

        Args:
            inventory: folder with hosts.yml, group_vars and host_vars.
            project: the project's root, for playbooks/site.yml and roles.
            secrets: a file that stands in for the inventory's secrets.yml, such as the example.
            given: what the run of Ansible has in which this is asked; None outside of a run.
        """
        return cls(inventory.absolute(), project.absolute(), secrets.absolute() if secrets else None, given)

    @classmethod
    def of(cls, inventory: Path, project: Path) -> Fleet:
        """Read the inventory folder that a user named for a verb.

        Raises:
            UserError: it is no inventory folder, its hosts cannot be read, or it has no hosts or no groups.
        """
        fleet = cls.load(usable(inventory), project)
        without = {fleet.inventory / name for name in VARS_FOLDERS}
        wrong = [problem for problem in fleet.blocking if problem.place.file not in without]
        if wrong:
            raise UserError("\n".join(problem.text(project.resolve()) for problem in wrong))
        return fleet

    def _read_inventory(self) -> InventoryManager:
        self.source_files, refused = folder.sources(self.inventory)
        self.vars_files, passed_over = folder.vars_files(self.inventory, self.policy, self.loader)
        self._found += refused + passed_over
        self.loader.mappings = {file.file for file in self.vars_files}
        for file in self.loader.mappings:
            self.loader.load_from_file(str(file), trusted_as_template=True)
        manager = InventoryManager(self.loader, sources=[str(self.inventory)], parse=False)
        for source in self.source_files:
            self._found += self._parse(manager, source)
        try:
            manager.reconcile_inventory()
        except AnsibleError as error:
            words = f"Ansible cannot read it: {error.message}"
            self._found.append(Problem(Place(self.inventory), "-", self.inventory.name, words, "mend its groups"))
        if self.secrets_from is not None:
            document = self.loader.load_from_file(str(self.secrets_from), trusted_as_template=True)
            for key, value in document.get("all", {}).get("vars", {}).items():
                self.values_instead.add(str(key))
                manager.groups["all"].set_variable(key, _stand_in(str(key)) if value == PLACEHOLDER else value)
        return manager

    def _parse(self, manager: InventoryManager, source: Path) -> list[Problem]:
        """Let Ansible parse one file; return what is wrong with its shape, or else what Ansible warns of."""
        document = self.documents[source]
        if source in self.loader.problems:
            return []
        found = list(structure.check(source, document))
        with heard() as said:
            manager.parse_source(str(source))
        return found or [_of_warning(warned, source) for warned in _foremost(said)]

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Return what could not be read, and what Ansible reads otherwise than it is meant."""
        found = (*self.loader.problems.values(), *self._found, *self._named_alike())
        return found if any(map(self._blocks, found)) else (*found, *self._nothing())

    @cached_property
    def blocking(self) -> tuple[Problem, ...]:
        """Return the problems after which hosts and groups are not what the files say; nothing else can be judged."""
        return tuple(filter(self._blocks, self.problems))

    def _blocks(self, problem: Problem) -> bool:
        file = problem.place.file
        # Secrets that stay closed take no host away.
        closed = file in self.loader.encrypted or file.name == PASSWORD_FILE
        return self.inventory in {file, file.parent} and not closed

    def _nothing(self) -> Iterator[Problem]:
        name = self.inventory.name
        if not self._manager.hosts:
            right = "list the hosts below `all: {hosts: ...}` of its hosts.yml"
            yield Problem(Place(self.inventory), "-", name, "this inventory has no hosts", right)
        elif not set(self._manager.groups) - {"all", "ungrouped"}:
            right = "put the hosts into groups, below `all: {children: ...}`; a group turns a role on"
            yield Problem(Place(self.inventory), "-", name, "this inventory has no groups", right)

    def _named_alike(self) -> Iterator[Problem]:
        for name in self._manager.hosts:
            if name in self._manager.groups:
                place = place_of(name) or Place(self.inventory / "hosts.yml")
                yield Problem(place, str(name), str(name), "a group has this name too", "give the host another name")

    @cached_property
    def documents(self) -> Mapping[Path, Any]:
        """Return the inventory files as they are written."""
        return {file: self.loader.load_from_file(str(file), trusted_as_template=True) for file in self.source_files}

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Return the names of all hosts in the order of the inventory."""
        return tuple(str(host) for host in self._manager.hosts)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all hosts as they are written, so that each still knows its line."""
        return tuple(self._manager.hosts)

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

    def children(self, group: str) -> frozenset[str]:
        """Return the groups that a group contains, however deep."""
        return frozenset(str(child.name) for child in self._manager.groups[group].get_descendants()) - {group}

    def matching(self, pattern: str) -> frozenset[str]:
        """Return the hosts that Ansible chooses by a pattern."""
        return hosts_matching(pattern, self.members)

    def groups(self, host: str) -> tuple[str, ...]:
        """Return the groups of a host, sorted, without `all`."""
        return tuple(
            sorted(name for name, hosts in self.members.items() if host in hosts and name not in {"all", "ungrouped"})
        )

    @cached_property
    def managed(self) -> tuple[str, ...]:
        """Return the hosts that plays may touch."""
        return tuple(host for host in self.hosts if host not in self.members.get(UNMANAGED, ()))

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
            known = dict(self.inventory_values(host))
            for key in known.keys() & raw.keys():
                del raw[key]  # an equal key keeps its first place in a dict, and with it the wrong file and line
            self._settings[host] = Settings(raw | known | dict(self.given.variables if self.given else {}), self.loader)
        return self._settings[host]

    def options(self, host: str) -> dict[str, Any]:
        """Return the specification of each variable that the inventory and the roles of a host may be told."""
        if host not in self._options:
            found = {key: spec for key, spec in self.every_option.items() if key.startswith("ansible_")}
            found |= dict(self.project.inventory_options) | dict(self.own_options)
            for role in self.roles(host):
                found |= self.project.role(role).options
            self._options[host] = found
        return self._options[host]

    @cached_property
    def every_option(self) -> Mapping[str, Spec]:
        """Return every variable that this inventory may set, with its specification, its own ones among them."""
        found = dict(self.project.inventory_options) | dict(self.own_options)
        for role in self.project.role_names:
            found |= self.project.role(role).options
        of_ansible = {item.key for item in self.definitions if item.key.startswith("ansible_")} - found.keys()
        if of_ansible:  # to read the documentation of all plugins takes a while
            chosen = {"ansible_connection", "ansible_become_method"}
            plugins = {str(item.value) for item in self.definitions if item.key in chosen}
            found = ansible_variables.options(plugins) | found
        return found

    @cached_property
    def own_options(self) -> Spec:
        """Return the options that a specification beside the inventory adds to those of the project."""
        return self.project.options_of(self.inventory / OWN_SPECIFICATION)

    def inventory_values(self, host: str) -> Mapping[str, Any]:
        """Return what the inventory gives a host, not rendered, without the defaults of roles."""
        values: Mapping[str, Any] = self._variables.get_vars(host=self._manager.get_host(host))
        return values

    def defines(self, key: str) -> bool:
        """Tell whether `definitions` has a variable."""
        return key in self._by_key

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
        for file in self.vars_files:
            values = self.loader.load_from_file(str(file.file), trusted_as_template=True) or {}
            owner = owner_of(file)
            for key, value in values.items():
                yield Definition(owner, str(key), value, place_of(key) or Place(file.file))

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


def owner_of(file: VarsFile) -> str:
    """Return whose variables a file holds: a host's, those of `group <name>`, or those of all."""
    return file.name if file.kind == "host" or file.name == "all" else f"group {file.name}"


def _foremost(said: Sequence[Warned]) -> list[Warned]:
    """Return what counts of Ansible's warnings: of the plugins that tried a file, the one that it is written for."""
    of_yaml = [warned for warned in said if "'yaml' plugin" in warned.headline]
    return of_yaml or [warned for warned in said if not warned.words.startswith("Unable to parse")] or list(said)


def _of_warning(warned: Warned, source: Path) -> Problem:
    words = warned.words.strip().splitlines()[0].rstrip(".")
    right = "Ansible only warns of it and goes on; mend the file"
    place = place_of(warned.about) or Place(source)
    return Problem(place if place.file == source else Place(source), "-", source.name, words, right)
