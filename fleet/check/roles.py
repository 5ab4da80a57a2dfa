# SPDX-License-Identifier: Apache-2.0
"""What each role refuses of its own variables: the role's rules.py, asked for every host that has the role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.reading import place_of
from fleet.model.rules import Refusal, asked, rule_of


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield what the roles of each host refuse."""
    for host in fleet.hosts:
        for role in fleet.roles(host):
            yield from of_role(fleet, host, role)


def of_role(fleet: Fleet, host: str, role: str) -> Iterator[Problem]:
    """Yield what one role refuses on one host, each with its file and line."""
    rule = rule_of(fleet.project_folder, role)
    if rule is not None:
        for refusal in asked(rule, fleet.settings(host), fleet.options(host), fleet):
            yield located(fleet, host, refusal)


def located(fleet: Fleet, host: str, refusal: Refusal) -> Problem:
    """Return a refusal with the place that must change: as deep inside the variable as a file has it."""
    host = refusal.host or host
    place = fleet.place(host, refusal.variable)
    settings = fleet.settings(host)
    if refusal.variable in settings:
        place = _inside(settings.raw(refusal.variable), refusal.key.split(".")[1:]) or place
    return Problem(place, host, refusal.key, refusal.wrong, refusal.right)


def _inside(value: Any, steps: list[str]) -> Place | None:
    """Return where the deepest step that is written out stands; a key with dots of its own takes several steps."""
    found: Place | None = None
    while steps:
        taken = 1
        if isinstance(value, Mapping):
            names = {str(name): name for name in value}
            taken = next((end for end in range(len(steps), 0, -1) if ".".join(steps[:end]) in names), 0)
            if not taken:
                break
            key = names[".".join(steps[:taken])]
            found, value = place_of(key) or found, value[key]
        elif isinstance(value, (list, tuple)) and steps[0].isdigit() and int(steps[0]) < len(value):
            value = value[int(steps[0])]
            found = place_of(next(iter(value), None) if isinstance(value, Mapping) else value) or found
        else:
            break
        steps = steps[taken:]
    return found
