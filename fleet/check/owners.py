# SPDX-License-Identifier: Apache-2.0
"""On each host a kernel argument and a TCP port belong to one role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of
from fleet.model.settings import UnrenderableError
from roles.kernel.module_utils.kernel_line import POLICY as KERNEL_POLICY
from roles.kernel.module_utils.kernel_line import name_of

Claim = tuple[str, str, Place]  # thing claimed, variable that claims it, where


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield what two variables of one host claim."""
    for host in fleet.hosts:
        yield from _twice(host, _kernel_arguments(fleet, host), "kernel argument", "keep it in one of them")
        yield from _twice(host, _ports(fleet, host), "TCP port", "give one of them another port, or 0 for none")


def _twice(host: str, claims: Iterator[Claim], what: str, right: str) -> Iterator[Problem]:
    first: dict[str, tuple[str, Place]] = {}
    for thing, variable, place in claims:
        if thing not in first:
            first[thing] = (variable, place)
        elif first[thing][0] != variable:
            other, there = first[thing]
            wrong = f"{what} {thing} is claimed by {other} ({there.file.name}:{there.line}) too"
            yield Problem(place, host, variable, wrong, right)


def _value(fleet: Fleet, host: str, key: str) -> Any:
    try:
        return fleet.settings(host).get(key)
    except UnrenderableError:
        return None  # the values check reports it


def _kernel_arguments(fleet: Fleet, host: str) -> Iterator[Claim]:
    for key in (KERNEL_POLICY, *_options(fleet, host, "_kernel_arguments")):
        value = _value(fleet, host, key)
        for argument in value if isinstance(value, (list, tuple)) else ():
            yield name_of(argument), key, place_of(argument) or fleet.place(host, key)


def _ports(fleet: Fleet, host: str) -> Iterator[Claim]:
    for key in _options(fleet, host, "_port"):
        value = str(_value(fleet, host, key) or 0)
        if value.isdigit() and int(value):
            yield str(int(value)), key, fleet.place(host, key)


def _options(fleet: Fleet, host: str, ending: str) -> list[str]:
    return [
        key
        for role in fleet.roles(host)
        for key in fleet.project.role(role).options
        if (key == f"{role}{ending}" if ending != "_port" else key.endswith(ending))
    ]
