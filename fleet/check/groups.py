# SPDX-License-Identifier: Apache-2.0
"""Groups turn something on, and their hosts have what that needs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.check.files import written_names
from fleet.check.names import suggestion
from fleet.model.model import UNMANAGED, Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of
from fleet.model.settings import UnrenderableError

LEDGER = "fleet_groups_without_play"
PRIORITY = "ansible_group_priority"
MACS = "macs"
# What runs in a group and where it finds it, on the same host.
NEEDS = {
    "agents": {"redis": "services talk over the socket of its bus", "questdb": "the recorder keeps history there"},
    "trading": {"kernel_tuned": "its profile, its cards and its kernel parameters are read there"},
    "hft": {"kernel_tuned": "its profile, its cards and its kernel parameters are read there"},
    "xdp": {"kernel_tuned": "its network card is set up there"},
    "execution": {"kernel_tuned": "its huge pages are reserved there"},
}


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield hosts that do not fit their groups, groups that nothing uses, and stale entries of the ledger."""
    yield from _without_gpus(fleet)
    yield from _needs(fleet)
    yield from _macs(fleet)
    yield from _priority(fleet)
    ledger = _ledger(fleet)
    used = {group for group in fleet.members if _asked_for(group, fleet.project.groups_of_plays - {"all"})}
    for group in fleet.members:
        related = {group, *fleet.parents(group), *fleet.children(group)}
        if group in {"all", "ungrouped", UNMANAGED, *ledger} or related & used:
            continue
        hosts = f"{fleet.inventory.name}/hosts.yml"
        own = f"say in {LEDGER} what it is for, below `all: {{vars: ...}}` of {hosts}, or use it in a playbook"
        right = suggestion(group, fleet.project.groups_of_plays, own)
        right = right if right == own else f"{right} For a group of your own {own}"
        yield Problem(_line(fleet, group), f"group {group}", group, "no play uses this group", right)
    for group, place in ledger.items():
        if group in used:
            yield Problem(place, "all", f"{LEDGER}.{group}", "a play uses this group by now", "remove the entry")


def _asked_for(group: str, terms: frozenset[str]) -> bool:
    if group in terms:
        return True
    for term in terms:
        name = re.sub(r"\[[-\d:]*\]\Z", "", term)
        try:
            if re.match(term[1:], group) if term.startswith("~") else fnmatch.fnmatchcase(group, name):
                return True
        except re.error:
            continue  # Ansible says so when it runs the play
    return False


def _needs(fleet: Fleet) -> Iterator[Problem]:
    for group, needed in NEEDS.items():
        for host in fleet.members.get(group, ()):
            for other, why in needed.items():
                if host not in fleet.members.get(other, ()):
                    wrong = f"in group {group}, which needs {other} on the same host: {why}"
                    right = f"add the host to {other}, or take it out of {group}"
                    yield Problem(_line(fleet, group), host, group, wrong, right)


def _macs(fleet: Fleet) -> Iterator[Problem]:
    """Yield hosts that are Macs by one word and Linux by the other."""
    used = fleet.project.groups_of_roles
    for host in fleet.managed:
        system = _value(fleet, host, "operating_system")
        is_mac, groups = system == "macos", set(fleet.groups(host))
        if is_mac and MACS not in groups:
            wrong, right = "a Mac outside of group macs, so the plays for Linux take it", f"add it to {MACS}"
            yield Problem(fleet.place(host, "operating_system"), host, "operating_system", wrong, right)
        elif isinstance(system, str) and not is_mac and MACS in groups:
            wrong, right = f"{system} in group macs, which no play for Linux touches", f"take it out of {MACS}"
            yield Problem(_line(fleet, MACS), host, MACS, wrong, right)
        for group in sorted(groups & used) if is_mac else ():
            wrong, right = f"a Mac in group {group}, whose roles need Linux", f"take it out of {group}"
            yield Problem(_line(fleet, group), host, group, wrong, right)


def _priority(fleet: Fleet) -> Iterator[Problem]:
    for item in fleet.definitions:
        if item.key == PRIORITY and (item.place.file not in fleet.source_files or not item.owner.startswith("group ")):
            wrong = "Ansible reads it below `vars:` of a group in hosts.yml only; here it does nothing"
            yield Problem(item.place, item.owner, PRIORITY, wrong, "move it there")


def _without_gpus(fleet: Fleet) -> Iterator[Problem]:
    for host in fleet.members.get("gpu", ()):
        hardware = _value(fleet, host, "hardware")
        if hardware is not None and not (isinstance(hardware, Mapping) and hardware.get("gpus")):
            right = f"list its GPUs in host_vars/{host}.yml or take the host out of the group"
            yield Problem(fleet.place(host, "hardware"), host, "hardware.gpus", "in group gpu without a GPU", right)


def _value(fleet: Fleet, host: str, key: str) -> Any:
    try:
        return fleet.settings(host).get(key)
    except UnrenderableError:
        return None  # the values check reports it


def _ledger(fleet: Fleet) -> dict[str, Place]:
    """Return the groups that any file of the inventory declares: one's own stand beside those of the project."""
    return {
        str(group): place_of(group) or item.place
        for item in fleet.definitions
        if item.key == LEDGER and isinstance(item.value, Mapping)
        for group in item.value
    }


def _line(fleet: Fleet, group: str) -> Place:
    for file, document in fleet.documents.items():
        for name in written_names(document, "group"):
            if name == group:
                return place_of(name) or Place(file)
    return Place(fleet.inventory / "hosts.yml")
