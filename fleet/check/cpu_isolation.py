# SPDX-License-Identifier: Apache-2.0
"""The wish for isolated CPUs can be had, no other list takes from them, and the kernel's command line follows suit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.check.sound import Reader
from fleet.hardware import cpus
from fleet.hardware.cpus import CpuListError
from fleet.hardware.isolation import CpuSets, Machine, divide
from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of
from roles.kernel.module_utils.kernel_line import GENERIC, POLICY, Options
from roles.kernel.module_utils.kernel_refusals import refusals, variable_of

WISH = "cpu_isolation"
# Interrupts never belong on isolated CPUs, not even on those of a service.
INTERRUPTS = "irq_"


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield wishes that a host cannot fulfil, lists that overlap the isolated CPUs, and a contradictory boot line."""
    reader = Reader(fleet)
    for host in fleet.hosts:
        hardware = reader.value(host, "hardware", {})
        wish = reader.value(host, WISH, {})
        cpu = reader.cpu(host)
        if cpu is None or not isinstance(hardware, Mapping) or not isinstance(wish, Mapping):
            continue
        try:
            Machine.of(cpu)
        except CpuListError:
            continue  # the check of CPU lists reports it
        sets = divide(cpu, wish)
        yield from _wish(fleet, host, wish, sets)
        yield from _overlaps(fleet, host, sets)
        yield from _kernel(reader, host, sets, hardware)


def _wish(fleet: Fleet, host: str, wish: Mapping[str, Any], sets: CpuSets) -> Iterator[Problem]:
    for refusal in sets.refusals:
        place = _line(wish, refusal.key) or fleet.place(host, WISH)
        key = f"{WISH}.{refusal.key}" if refusal.key else WISH
        yield Problem(place, host, key, refusal.wrong, refusal.right)


def _line(wish: Mapping[str, Any], path: str) -> Place | None:
    """Return where a key such as services.feed is written."""
    found, inside = None, wish
    for word in path.split("."):
        name = next((key for key in inside if key == word), None) if isinstance(inside, Mapping) else None
        if name is None:
            break
        found, inside = place_of(name) or found, inside[name]
    return found


def _overlaps(fleet: Fleet, host: str, sets: CpuSets) -> Iterator[Problem]:
    isolated = cpus.parse(sets.isolated)
    services = {name: text for name, text in sets.services.items() if text}
    shares = ", ".join(f'services.{name} "{text}"' for name, text in services.items())
    for role in fleet.roles(host):
        for key in fleet.project.role(role).options:
            chosen = _list(fleet, host, key) if key.endswith("_cpus") else frozenset()
            if not chosen & isolated:
                continue
            wrong = f'"{cpus.compose(chosen)}" takes {cpus.compose(chosen & isolated)} of the isolated CPUs'
            if key.startswith(INTERRUPTS):
                right = f'interrupts belong on cpu_sets.irq "{sets.irq}"'
            elif cpus.compose(chosen) in (sets.isolated, *services.values()):
                continue
            else:
                right = f'take some of cpu_sets.housekeeping "{sets.housekeeping}"'
                right += f", or one of {shares}" if shares else ", or a service of cpu_isolation"
            yield Problem(fleet.place(host, key), host, key, wrong, right)


def _list(fleet: Fleet, host: str, key: str) -> frozenset[int]:
    try:
        return cpus.parse(str(Reader(fleet).value(host, key) or ""))
    except CpuListError:
        return frozenset()  # the check of CPU lists reports it


def kernel_options(reader: Reader, host: str) -> Options:
    """Return what decides a host's command line beside profile and CPU sets, without what another check refuses."""
    owners = {owner: reader.value(host, variable_of(owner)) for owner in (*reader.fleet.roles(host), POLICY)}
    return Options(
        hugepages=reader.value(host, "kernel_hugepages", []) or [],
        transparent_hugepages=reader.value(host, "kernel_transparent_hugepages", "") or "",
        arguments={owner: value for owner, value in owners.items() if isinstance(value, (list, tuple))},
        flavour=reader.value(host, "kernel_flavour", GENERIC) or GENERIC,
        version=reader.value(host, "kernel_version", "") or "",
    )


def _kernel(reader: Reader, host: str, sets: CpuSets, hardware: Mapping[str, Any]) -> Iterator[Problem]:
    profile = reader.value(host, "kernel_profile")
    if profile is None:
        return
    for refusal in refusals(str(profile), sets.as_dict(), kernel_options(reader, host), hardware):
        if refusal.other and variable_of(refusal.other) != refusal.variable:
            continue  # the check of owners reports it
        place = _written(refusal.item) or reader.fleet.place(host, refusal.variable)
        yield Problem(place, host, refusal.variable, refusal.wrong, refusal.right)


def _written(item: Any) -> Place | None:
    return place_of(next(iter(item), None)) if isinstance(item, Mapping) else place_of(item)
