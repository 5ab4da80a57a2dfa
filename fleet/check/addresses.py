# SPDX-License-Identifier: Apache-2.0
"""No two hosts answer at the same address and port."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from fleet.model.model import Fleet
from fleet.model.problems import Problem
from fleet.model.settings import UnrenderableError


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield hosts whose address another host has."""
    first: dict[tuple[str, str], str] = {}
    for host in fleet.hosts:
        known = fleet.settings(host)
        try:
            address, port = str(known.get("ansible_host", host)), str(known.get("ansible_port", 22))
        except UnrenderableError:
            continue  # the values check reports it
        other = first.setdefault((_normal(address), port), host)
        if other != host:
            wrong = f"{address} is the address of {other} too"
            yield Problem(fleet.place(host, "ansible_host"), host, "ansible_host", wrong, "each host has its own")


def _normal(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower().rstrip(".")
