# SPDX-License-Identifier: Apache-2.0
"""Names of services that a role is told to change, compared with the units that the roles of the host declare."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from fleet.model.rules import Refusal, declarations
from fleet.model.view import View

SERVICE = re.compile(r"[A-Za-z0-9:_.-]+(@[A-Za-z0-9:_.-]+)?\.service")
# Its units are made to be changed by drop-ins; those of every other role are as that role wants them.
OPEN = "services"


def service(key: str, name: str, host: str, fleet: View) -> Iterator[Refusal]:
    """Yield why a role cannot be told to change a service.

    Args:
        key: the variable, with the way inside it.
        name: full name of the unit.
        host: the host.
        fleet: asked for the units that the host's roles declare.
    """
    if not SERVICE.fullmatch(name):
        yield Refusal(key, f"{name!r} is no service", "write its full name, such as station@execution.service")
        return
    declared = declarations(fleet, "units", [host]).get(host, {})
    owners = {
        str(entry.get("name")): role
        for role, entries in declared.items()
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
    }
    if name in owners and owners[name] != OPEN:
        wrong = f"{name} is a unit of the role {owners[name]}, which this would break"
        yield Refusal(key, wrong, "name a service of services_instances, or a unit that no role has")
    template = name.partition("@")[0] + "@"
    instances = [unit for unit, role in owners.items() if role == OPEN and unit.startswith(template)]
    if instances and name not in instances:
        near = get_close_matches(name, instances, n=1) or instances
        yield Refusal(key, f"{name} is no service of services_instances", f"did you mean {near[0]}?")
