# SPDX-License-Identifier: Apache-2.0
"""CPU lists name CPUs that the host has, and whole cores; the description of the hardware agrees with itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.check.sound import Reader
from fleet.hardware import cpus
from fleet.hardware.cpus import CpuListError
from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield CPU lists that do not fit the hardware."""
    reader = Reader(fleet)
    for host in fleet.hosts:
        cpu = reader.cpu(host)
        if cpu is None:
            continue  # the values check asks for it
        wrong = list(_hardware(fleet, host, cpu))
        yield from wrong
        if not wrong:
            yield from _variables(reader, host, cpus.cores(cpu))


def _hardware(fleet: Fleet, host: str, cpu: Mapping[str, Any]) -> Iterator[Problem]:
    def problem(key: str, wrong: str, right: str) -> Problem:
        return Problem(_line(fleet, host, cpu, key), host, f"hardware.cpu.{key}", wrong, right)

    lists: dict[str, frozenset[int]] = {}
    for key in ("performance_cpus", "efficiency_cpus"):
        try:
            lists[key] = cpus.parse(str(cpu.get(key) or ""))
        except CpuListError as error:
            yield problem(key, str(error), cpus.FORM)
            return
    both = lists["performance_cpus"] & lists["efficiency_cpus"]
    if both:
        wrong = f"CPUs {cpus.compose(both)} are performance and efficiency CPUs"
        yield problem("efficiency_cpus", wrong, "each CPU is one of them")
    try:
        cpus.cores(cpu)
    except CpuListError as error:
        yield problem("threads_per_core", str(error), "give every thread of every core, or threads_per_core: 1")
    yield from _numa(cpu, frozenset().union(*lists.values()), problem)


def _numa(cpu: Mapping[str, Any], present: frozenset[int], problem: Any) -> Iterator[Problem]:
    seen: frozenset[int] = frozenset()
    for node in cpu.get("numa_nodes") or ():
        try:
            members = cpus.parse(str(node))
        except CpuListError as error:
            yield problem("numa_nodes", str(error), 'write one Linux CPU list a node, such as ["0-31", "32-63"]')
            return
        if seen & members:
            yield problem("numa_nodes", f"CPUs {cpus.compose(seen & members)} are in two nodes", "each is in one")
        seen |= members
    if seen and seen != present:
        wrong = f"the nodes have CPUs {cpus.compose(seen)}, the host has {cpus.compose(present)}"
        yield problem("numa_nodes", wrong, "together the nodes have each CPU of the host")


def _line(fleet: Fleet, host: str, cpu: Mapping[str, Any], key: str) -> Place:
    return next((place_of(name) for name in cpu if name == key), None) or fleet.place(host, "hardware")


def _variables(reader: Reader, host: str, cores: tuple[frozenset[int], ...]) -> Iterator[Problem]:
    fleet = reader.fleet
    for role in fleet.roles(host):
        for key in fleet.project.role(role).options:
            if not key.endswith("_cpus"):
                continue
            misfit = cpus.misfit(str(reader.value(host, key) or ""), cores)
            if misfit:
                yield Problem(fleet.place(host, key), host, key, *misfit)
