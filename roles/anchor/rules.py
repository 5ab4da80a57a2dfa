# SPDX-License-Identifier: Apache-2.0
"""What the role anchor refuses of its variables, and of the journals that it is for, without a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model import forms
from fleet.model.rules import Refusal, declarations
from fleet.model.view import View


def anchor_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: all hosts, for what their roles declare as <role>_journal_keys.
    """
    group, port, own = settings["anchor_group"], settings["anchor_port"], str(settings["inventory_hostname"])
    if group:
        yield from forms.account("anchor_group", group, "station")
    yield from forms.port("anchor_port", port, none=True)
    if not group and not port:
        right = "set anchor_port (group_vars/anchors.yml), or anchor_group where services run (group_vars/agents.yml)"
        yield Refusal("anchor_port", "the anchor listens nowhere", right)
    writers = _writers(fleet)
    if writers is not None and not writers:
        right = "put a host into the group agents, and set vault_agents_journal, 32 characters or more"
        yield Refusal("anchor_port" if port else "anchor_group", "no host has a journal with a key", right)
    for host in dict.fromkeys([own, *(writers or ())]) if port else ():
        address = forms.address(fleet, host)
        if not forms.is_ipv4(address):
            wrong = f"{address!r} is no IPv4 address, and the anchor's port opens to those alone"
            yield Refusal("ansible_host", wrong, "write the IPv4 address", host)


def _writers(fleet: View) -> list[str] | None:
    """Return the hosts that have a journal with a key; None when that cannot be known without facts."""
    hosts = fleet.members.get("all", ())
    declared = declarations(fleet, "journal_keys", hosts)
    if len(declared) < len(hosts):
        return None
    return [host for host, roles in declared.items() if any(roles.values())]
