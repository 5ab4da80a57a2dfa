# SPDX-License-Identifier: Apache-2.0
"""On each host a TCP port belongs to one role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.check.roles import located
from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.rules import Refusal
from fleet.model.settings import UnrenderableError

Claim = tuple[str, str, Place]  # thing claimed, variable that claims it, where


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield what two variables of one host claim."""
    for host in fleet.hosts:
        yield from _twice(host, _ports(fleet, host), "TCP port", "give one of them another port, or 0 for none")


def _twice(host: str, claims: Iterator[Claim], what: str, right: str) -> Iterator[Problem]:
    first: dict[str, tuple[str, Place]] = {}
    for thing, variable, place in claims:
        if thing not in first:
            first[thing] = (variable, place)
        # What two parts of one variable claim is judged by the rule of the role that has it.
        elif first[thing][0].partition(".")[0] != variable.partition(".")[0]:
            other, there = first[thing]
            wrong = f"{what} {thing} is claimed by {other} ({there.file.name}:{there.line}) too"
            yield Problem(place, host, variable, wrong, right)


def _value(fleet: Fleet, host: str, key: str) -> Any:
    try:
        return fleet.settings(host).get(key)
    except UnrenderableError:
        return None  # the values check reports it


def _ports(fleet: Fleet, host: str) -> Iterator[Claim]:
    """Yield the ports of variables `<role>_..._port`, and those that a role declares and no such variable sets."""
    known = set()
    for role in fleet.roles(host):
        for key in fleet.project.role(role).options:
            number = _port(_value(fleet, host, key)) if key.endswith("_port") else ""
            if number:
                known.add((role, number))
                yield number, key, fleet.place(host, key)
    for role, entries in _declared("ports", fleet, host):
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            number = _port(entry.get("port")) if isinstance(entry, Mapping) else ""
            if number and (role, number) not in known:
                # `key` says which part of which variable the port is from.
                key = str(entry.get("key", f"{role}_ports.{position}"))
                yield number, key, located(fleet, host, Refusal(key, "", "")).place


def _port(value: Any) -> str:
    return str(int(value)) if str(value).isdecimal() and int(value) else ""


def _declared(noun: str, fleet: Fleet, host: str) -> Iterator[tuple[str, Any]]:
    """Yield each role of the host that declares a noun, with what it declares, one role at a time."""
    for role in fleet.roles(host):
        if f"{role}_{noun}" in fleet.project.role(role).options:
            yield role, _value(fleet, host, f"{role}_{noun}")
