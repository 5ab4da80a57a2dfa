# SPDX-License-Identifier: Apache-2.0
"""What this check has read is what Ansible reads: its own load of the folder has the same hosts, groups and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager

from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of
from fleet.model.warnings import heard

RIGHT = (
    "run this check with the configuration and the environment of Ansible's runs, or report it as a fault of the check"
)


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield hosts, groups and variables that Ansible has and this check does not, or the other way round."""
    place = Place(fleet.inventory)
    try:
        with heard() as said:
            loader = _loader(fleet)
            theirs = InventoryManager(loader, sources=[str(fleet.inventory)])
            variables = VariableManager(loader=loader, inventory=theirs)
            values = {
                str(name): variables.get_vars(host=host, include_hostvars=False) for name, host in theirs.hosts.items()
            }
    except AnsibleError as error:
        yield Problem(place, "-", fleet.inventory.name, f"Ansible cannot read it: {error.message}", RIGHT)
        return
    for warned in said:
        if "duplicate mapping key" in warned.words:
            continue  # the check of writing knows those that count
        yield Problem(
            place_of(warned.about) or place, "-", fleet.inventory.name, f"Ansible warns: {warned.words}", RIGHT
        )
    groups = {str(name): {str(host.name) for host in group.get_hosts()} for name, group in theirs.groups.items()}
    ours = {name: set(hosts) for name, hosts in fleet.members.items()}
    for name in sorted(groups.keys() ^ ours.keys() | {n for n in groups.keys() & ours.keys() if groups[n] != ours[n]}):
        wrong = f"Ansible has {_listed(groups.get(name))} in it, this check {_listed(ours.get(name))}"
        yield Problem(place, f"group {name}", name, wrong, RIGHT)
    for host in fleet.hosts:
        yield from _values(fleet, host, values.get(host, {}))


def _loader(fleet: Fleet) -> DataLoader:
    loader = DataLoader()
    loader.set_basedir(fleet.loader.get_basedir())
    loader.set_vault_secrets(list(fleet.secrets))
    return loader


def _values(fleet: Fleet, host: str, theirs: Mapping[str, Any]) -> Iterator[Problem]:
    ours = fleet.inventory_values(host)
    instead = {*fleet.values_instead, "hostvars"}
    for key in sorted((theirs.keys() | ours.keys()) - instead, key=str):
        where = place_of(next((name for name in theirs if name == key), None))
        if key not in theirs or key not in ours or (where is not None and theirs[key] != ours[key]):
            place = where or fleet.place(host, key)
            yield Problem(place, host, str(key), "Ansible has another value than this check", RIGHT)
        elif where is not None and not fleet.defines(str(key)):
            yield Problem(
                where, host, str(key), "Ansible reads this variable, and this check has not looked at it", RIGHT
            )


def _listed(hosts: set[str] | None) -> str:
    return "no such group" if hosts is None else ", ".join(sorted(hosts)) or "no host"
