# SPDX-License-Identifier: Apache-2.0
"""Each host has a name and an address that role base can write into a hosts file, and an address of its own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from fleet.model.model import Fleet
from fleet.model.problems import Problem
from fleet.model.reading import place_of
from fleet.model.settings import UnrenderableError

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SAME_MACHINE = "same_machine_as"
BROADCAST = ipaddress.ip_address("255.255.255.255")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield names and addresses that no hosts file can hold, and addresses that two hosts have."""
    first: dict[tuple[Address, str], str] = {}
    for host in fleet.hosts:
        yield from _name(fleet, host)
        yield from _same_machine(fleet, host)
        try:
            given, port = fleet.settings(host).get("ansible_host"), fleet.settings(host).get("ansible_port", 22)
        except UnrenderableError:
            continue  # the values check reports it
        if isinstance(given, bool) or not (given is None or isinstance(given, str)):
            given = str(given)
        address, wrong, right = _address(host, given, fleet.hosts)
        place = fleet.place(host, "ansible_host")
        if address is None:
            yield Problem(place, host, "ansible_host", wrong, right)
            continue
        other = first.setdefault((address, str(port)), host)
        if other != host and _machine(fleet, other) != _machine(fleet, host):
            wrong = f"{given} is the address of {other} too"
            right = f"each host has its own; of one machine under two names the second says `{SAME_MACHINE}: {other}`"
            yield Problem(place, host, "ansible_host", wrong, right)


def _name(fleet: Fleet, host: str) -> Iterator[Problem]:
    if not LABEL.fullmatch(host):
        place = place_of(next(name for name in fleet.names if name == host)) or fleet.place(host, "ansible_host")
        words = "lower-case letters, digits and hyphens, at most 63, no dot"
        right = f"name it with {words}: it becomes the host's own name; its DNS name or address goes into ansible_host"
        yield Problem(place, host, host, "is no host name", right)


def _address(host: str, given: str | None, hosts: tuple[str, ...]) -> tuple[Address | None, str, str]:
    """Return the address of a host, or what is wrong with it and what would be right."""
    write = "write the IP address alone, such as 10.10.0.12"
    if given is None or not given.strip():
        return None, "this host has no address", f"{write}; role base writes it into the hosts file of all hosts"
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        if given in hosts and given != host:
            return None, f"{given} is another host's name", f"{write}; for one machine see {SAME_MACHINE}"
        if re.fullmatch(r"[A-Za-z0-9_.-]*[A-Za-z][A-Za-z0-9_.-]*", given) and not given.startswith("-"):
            right = f"{write}: role base writes it into the hosts file of all hosts; `getent hosts {given}` prints it"
            return None, f"{given!r} is a DNS name", right
        return None, f"{given!r} is no IP address", f"{write}; user, port and prefix do not belong to it"
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_unspecified or mapped.is_multicast or mapped == BROADCAST:
        return None, f"{given} is the address of no single host", write
    return mapped, "", ""


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
