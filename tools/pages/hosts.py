# SPDX-License-Identifier: Apache-2.0
"""The page of the fleet: hosts, what they are in, what the site makes of them, and the ports they listen on."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fleet.model.model import Fleet
from fleet.model.settings import UnrenderableError
from tools.pages import markdown
from tools.pages.variables import in_order

HOST_TITLES = ("Host", "Address", "Hardware", "Groups", "Layers")
PORT_TITLES = ("Host", "Port", "Variable", "What", "Scraped")
INTRODUCTION = """\
# Hosts

The fleet of `inventory/production`. A role applies to a host when the host is in a group that a play of that role
names.
"""
PORTS = """\
## Ports

The ports of a host's roles, each with the variable that sets it. *Scraped* says from where Prometheus can read a port:
over the network (`host`) or only on the host itself (`loopback`).
"""


def page(fleet: Fleet) -> str:
    """Return the page for an inventory."""
    return "\n".join(
        [
            markdown.HEAD.format(source="inventory/production"),
            INTRODUCTION,
            markdown.table(HOST_TITLES, (_host(fleet, host) for host in fleet.hosts)),
            "## Roles\n",
            _roles(fleet),
            PORTS,
            markdown.table(PORT_TITLES, _ports(fleet)),
        ]
    )


def hardware_words(hardware: Mapping[str, Any]) -> str:
    """Return a machine's hardware on one line: processor, memory, GPUs and network cards."""
    words = [str(hardware.get("cpu", {}).get("model", ""))]
    if "memory_gib" in hardware:
        words.append(f"{hardware['memory_gib']} GiB")
    for kind in ("gpus", "nics"):
        words += _counted(str(item.get("model", item.get("name", "?"))) for item in hardware.get(kind) or ())
    return ", ".join(word for word in words if word)


def _counted(names: Iterable[str]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    yield from (name if count == 1 else f"{count} x {name}" for name, count in counts.items())


def _host(fleet: Fleet, host: str) -> tuple[str, ...]:
    settings = fleet.settings(host)
    return (
        markdown.code(host),
        str(settings.get("ansible_host", "")),
        hardware_words(settings.get("hardware") or {}),
        ", ".join(fleet.groups(host)),
        ", ".join(fleet.layers(host)) or "none yet",
    )


def _roles(fleet: Fleet) -> str:
    applied = {host: fleet.roles(host) for host in fleet.hosts}
    marks = ((role, ["●" if role in roles else "" for roles in applied.values()]) for role in in_order(fleet.project))
    return markdown.table(("Role", *applied), ((markdown.code(role), *cells) for role, cells in marks))


def _ports(fleet: Fleet) -> Iterator[tuple[str, ...]]:
    for host in fleet.hosts:
        entries = [entry for declared in fleet.declared("scrape", host).values() for entry in declared]
        scraped = {entry["port"]: entry["scope"] for entry in entries}
        options = ChainMap(*(dict(fleet.project.role(role).options) for role in fleet.roles(host)))
        for port, name in sorted(_listening(fleet, host, options)):
            what = markdown.prose(options[name]["description"])
            yield markdown.code(host), str(port), markdown.code(name), what, scraped.get(port, "")


def _listening(fleet: Fleet, host: str, options: Iterable[str]) -> Iterator[tuple[int, str]]:
    for name in options:
        if not name.endswith("_port"):
            continue
        try:
            port = int(fleet.settings(host)[name])
        except UnrenderableError:
            continue  # known only on the running host
        if port:
            yield port, name
