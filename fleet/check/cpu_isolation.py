# SPDX-License-Identifier: Apache-2.0
"""The wish for isolated CPUs can be had, and no other list takes from them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.check.sound import Reader
from fleet.hardware import cpus
from fleet.hardware.cpus import CpuListError
from fleet.hardware.isolation import CpuSets, Machine, divide
from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of

WISH = "cpu_isolation"
# What services ask for as cpu_sets.services.<name>, by what they do.
ASKED_FOR = ("feed", "agent", "recorder", "risk", "execution")
ALIKE = 0.7
# Interrupts belong on no isolated CPU, not even on those of a service: the role's own rules refuse it.
INTERRUPTS = "irq_cpus"


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield wishes that a host cannot fulfil, and lists that overlap the isolated CPUs."""
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
        yield from _misspelt(fleet, host, wish)
        yield from _overlaps(fleet, host, sets)


def _wish(fleet: Fleet, host: str, wish: Mapping[str, Any], sets: CpuSets) -> Iterator[Problem]:
    for refusal in sets.refusals:
        place = _line(wish, refusal.key) or fleet.place(host, WISH)
        key = f"{WISH}.{refusal.key}" if refusal.key else WISH
        yield Problem(place, host, key, refusal.wrong, refusal.right)


def _misspelt(fleet: Fleet, host: str, wish: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield names that are nearly one of those that services ask for: their cores would be nobody's."""
    services = wish.get("services")
    for name in services if isinstance(services, Mapping) else ():
        near = difflib.get_close_matches(str(name), ASKED_FOR, n=1, cutoff=ALIKE)
        if near and str(name) not in ASKED_FOR:
            key = f"{WISH}.services.{name}"
            place = _line(wish, f"services.{name}") or fleet.place(host, WISH)
            yield Problem(place, host, key, "no service asks for cores of this name", f"did you mean {near[0]}?")


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
            if not chosen & isolated or key == INTERRUPTS:
                continue
            if cpus.compose(chosen) in (sets.isolated, *services.values()):
                continue
            wrong = f'"{cpus.compose(chosen)}" takes {cpus.compose(chosen & isolated)} of the isolated CPUs'
            right = f'take some of cpu_sets.housekeeping "{sets.housekeeping}"'
            right += f", or one of {shares}" if shares else ", or a service of cpu_isolation"
            yield Problem(fleet.place(host, key), host, key, wrong, right)


def _list(fleet: Fleet, host: str, key: str) -> frozenset[int]:
    try:
        return cpus.parse(str(Reader(fleet).value(host, key) or ""))
    except CpuListError:
        return frozenset()  # the check of CPU lists reports it
