# SPDX-License-Identifier: Apache-2.0
"""The hardware that host_vars describe can be: one card a slot, and no CPU without a place."""

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
    """Yield slots with two cards, and CPUs that neither list of the processor has."""
    reader = Reader(fleet)
    for host in fleet.managed:
        hardware = reader.value(host, "hardware")
        if isinstance(hardware, Mapping):
            yield from _slots(fleet, host, hardware)
        yield from _gaps(fleet, host, reader.cpu(host))


def _slots(fleet: Fleet, host: str, hardware: Mapping[str, Any]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for kind in ("gpus", "nics"):
        for number, card in enumerate(hardware.get(kind) or ()):
            slot = card.get("pci_slot")
            if slot is None:
                continue
            path = f"hardware.{kind}[{number}].pci_slot"
            other = first.setdefault(slot.lower(), path)
            if other != path:
                place = _place(card, "pci_slot") or fleet.place(host, "hardware")
                yield Problem(
                    place, host, path, f"{slot} is the slot of {other} too", "each card has its own: lspci -D"
                )


def _gaps(fleet: Fleet, host: str, cpu: Mapping[str, Any] | None) -> Iterator[Problem]:
    if cpu is None:
        return
    try:
        present = frozenset().union(*cpus.cores(cpu))
    except CpuListError:
        return  # the check of CPU lists reports it
    absent = frozenset(range(max(present, default=-1) + 1)) - present
    if absent:
        key = "efficiency_cpus" if cpu.get("efficiency_cpus") else "performance_cpus"
        place = _place(cpu, key) or fleet.place(host, "hardware")
        wrong = f"CPUs {cpus.compose(absent)} are in neither list, and Linux numbers them without a gap"
        yield Problem(place, host, f"hardware.cpu.{key}", wrong, "give each CPU that `lscpu --extended` shows")


def _place(mapping: Mapping[str, Any], key: str) -> Place | None:
    return next((place_of(name) for name in mapping if name == key), None)
