# SPDX-License-Identifier: Apache-2.0
"""Each host has a name that a machine can have, and an address of its own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from fleet.model.model import Fleet
from fleet.model.problems import Problem
from fleet.model.reading import place_of
from fleet.model.settings import UnrenderableError

DNS_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SAME_MACHINE = "same_machine_as"
BROADCAST = ipaddress.ip_address("255.255.255.255")

LOCAL = ("local", "ansible.builtin.local")
SSH_PORT = 22
RIGHT = "write the IP address or DNS name alone, such as 10.10.0.12; user, port and prefix do not belong to it"


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield names that no machine can have, addresses that are none, and addresses that two hosts have."""
    first: dict[tuple[str, str], str] = {}
    for host in fleet.hosts:
        yield from _name(fleet, host)
        yield from _same_machine(fleet, host)
        try:
            known = fleet.settings(host)
            given, port, way = (known.get(key) for key in ("ansible_host", "ansible_port", "ansible_connection"))
        except UnrenderableError:
            continue  # the values check reports it
        if given is None and "ansible_host" not in known and ("." in host or way in LOCAL):
            given = host  # a name that DNS knows, or no way at all
        place = fleet.place(host, "ansible_host")
        if given is None or not str(given).strip():
            yield Problem(place, host, "ansible_host", "this host has no address", RIGHT)
            continue
        address, wrong = _address(host, str(given), fleet.hosts)
        other = first.setdefault((address, str(port or SSH_PORT)), host) if address else host
        if wrong:
            yield Problem(place, host, "ansible_host", wrong, RIGHT)
        elif other != host and _machine(fleet, other) != _machine(fleet, host):
            wrong = f"{given} is the address of {other} too"
            right = f"each host has its own; of one machine under two names the second says `{SAME_MACHINE}: {other}`"
            yield Problem(place, host, "ansible_host", wrong, right)


def _name(fleet: Fleet, host: str) -> Iterator[Problem]:
    if "base" in fleet.roles(host):
        return  # the role's own rule says it
    labels = host.split(".")
    if not all(LABEL.fullmatch(label) for label in labels) or all(label.isdigit() for label in labels):
        place = place_of(next(name for name in fleet.names if name == host)) or fleet.place(host, "ansible_host")
        right = "name it with lower-case letters, digits and hyphens, and put its address into ansible_host"
        yield Problem(place, host, host, "is no host name", right)


def _address(host: str, given: str, hosts: tuple[str, ...]) -> tuple[str, str]:
    """Return what tells a host's address from others, and nothing more; or nothing, and what is wrong with it."""
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        name = given.lower().rstrip(".")
        if given in hosts and given != host:
            return "", f"{given} is another host's name"
        labels = name.split(".")
        if not all(DNS_LABEL.fullmatch(label) for label in labels) or all(label.isdigit() for label in labels):
            return "", f"{given!r} is no address and no DNS name"
        return name, ""
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_unspecified or mapped.is_multicast or mapped == BROADCAST:
        return "", f"{given} is the address of no single host"
    return str(mapped), ""


def _machine(fleet: Fleet, host: str) -> str:
    """Return the host whose machine this is, however many names lie between."""
    seen: list[Any] = [host]
    while True:
        other = _same(fleet, str(seen[-1]))
        if other is None or other in seen or other not in fleet.hosts:
            return str(seen[-1])
        seen.append(other)


def _same(fleet: Fleet, host: str) -> Any:
    try:
        return fleet.settings(host).get(SAME_MACHINE)
    except UnrenderableError:
        return None


def _same_machine(fleet: Fleet, host: str) -> Iterator[Problem]:
    other = _same(fleet, host)
    if other is not None and (other == host or other not in fleet.hosts):
        wrong = f"{other} is no other host of this inventory"
        yield Problem(fleet.place(host, SAME_MACHINE), host, SAME_MACHINE, wrong, "name the host whose machine this is")
