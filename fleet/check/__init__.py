# SPDX-License-Identifier: Apache-2.0
"""The checks of an inventory; each module has `check(fleet)`, which yields what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fleet.check import (
    access,
    addresses,
    agreement,
    cpu_isolation,
    cpu_lists,
    files,
    groups,
    hardware,
    names,
    owners,
    plain_secrets,
    roles,
    trading_hours,
    unread,
    values,
    vault,
    writing,
)
from fleet.errors import UserError
from fleet.model.model import Fleet, Given
from fleet.model.named import usable
from fleet.model.problems import Place, Problem, merged
from fleet.model.reading import place_of

CHECKS = (
    writing,
    files,
    names,
    values,
    hardware,
    cpu_lists,
    cpu_isolation,
    owners,
    groups,
    unread,
    addresses,
    access,
    vault,
    plain_secrets,
    trading_hours,
    roles,
)


def problems(fleet: Fleet) -> list[Problem]:
    """Return everything that is wrong with an inventory, unreadable files first.

    Where hosts and groups themselves cannot be read, that is all: the rest would be guesses.
    """
    if fleet.blocking:
        return list(merged(fleet.blocking))
    unlike = list(_unlike_any(fleet))
    silent = {problem.subject for problem in unlike} | _unreadable_hosts(fleet)
    found: list[Problem] = []
    for module in CHECKS:
        found += [problem for problem in module.check(fleet) if problem.subject not in silent]
    found = [*fleet.problems, *merged(unlike), *merged(found)]
    # Ansible reads everything a second time: only what is right so far is worth it.
    return found or list(merged(agreement.check(fleet)))


def lines(sources: Sequence[Path], project: Path, given: Given) -> list[str]:
    """Return what is wrong with the sources of a run of Ansible, one line a problem.

    Args:
        sources: what the run was told by -i.
        project: the project's root.
        given: what the run has beside the folder.
    """
    if len(sources) != 1:
        names = " and ".join(map(str, sources))
        return [
            f"{names}: several inventories in one run, of which none is the fleet; put the hosts into one and give that"
        ]
    try:
        fleet = Fleet.load(usable(sources[0]), project, given=given)
    except UserError as error:
        return [str(error)]
    return [problem.text(project.resolve()) for problem in problems(fleet)]


def _unlike_any(fleet: Fleet) -> Iterator[Problem]:
    """Yield hosts that nothing describes: most often another host's name, misspelt in a group."""
    described = {item.owner for item in fleet.definitions}
    for host in fleet.names:
        if host not in described and "hardware" not in fleet.settings(host) and host in fleet.managed:
            others = [name for name in fleet.hosts if name in described]
            right = names.suggestion(host, others, f"write host_vars/{host}.yml, and its address in hosts.yml")
            place = place_of(host) or Place(fleet.inventory / "hosts.yml")
            yield Problem(place, str(host), str(host), "no host_vars file and no variable describes this host", right)


def _unreadable_hosts(fleet: Fleet) -> set[str]:
    """Return the hosts whose own file is not read: whatever they lack stands in it."""
    return {file.name for file in fleet.vars_files if file.kind == "host" and file.file in fleet.loader.problems}
