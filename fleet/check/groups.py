# SPDX-License-Identifier: Apache-2.0
"""Groups turn something on, and their hosts have what that needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.check.names import suggestion, written_names
from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of
from fleet.model.settings import UnrenderableError

LEDGER = "fleet_groups_without_play"


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield hosts in `gpu` without GPUs, groups that nothing uses, and stale entries of the ledger."""
    yield from _without_gpus(fleet)
    used = frozenset().union(*(play.groups for play in fleet.project.plays if play.roles)) - {"all"}
    ledger = _ledger(fleet)
    for group in fleet.members:
        if group in {"all", "ungrouped", *ledger} or used & {group, *fleet.parents(group)}:
            continue
        right = suggestion(
            group, used, f"use it in a play, or say in {LEDGER} (group_vars/all/groups.yml) what it will turn on"
        )
        yield Problem(_line(fleet, group), f"group {group}", group, "no play uses this group", right)
    for group, place in ledger.items():
        if group in used:
            yield Problem(place, "all", f"{LEDGER}.{group}", "a play uses this group by now", "remove the entry")


def _without_gpus(fleet: Fleet) -> Iterator[Problem]:
    for host in fleet.members.get("gpu", ()):
        try:
            hardware = fleet.settings(host).get("hardware")
        except UnrenderableError:
            continue
        if not (isinstance(hardware, Mapping) and hardware.get("gpus")):
            right = f"list its GPUs in host_vars/{host}.yml or take the host out of the group"
            yield Problem(fleet.place(host, "hardware"), host, "hardware.gpus", "in group gpu without a GPU", right)


def _ledger(fleet: Fleet) -> dict[str, Place]:
    for item in fleet.definitions:
        if item.key == LEDGER and isinstance(item.value, Mapping):
            return {str(group): place_of(group) or item.place for group in item.value}
    return {}


def _line(fleet: Fleet, group: str) -> Place:
    for file, document in fleet.documents.items():
        for name in written_names(document, "group"):
            if name == group:
                return place_of(name) or Place(file)
    return Place(fleet.inventory / "hosts.yml")
