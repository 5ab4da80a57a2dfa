# SPDX-License-Identifier: Apache-2.0
"""Forms of values that the rules of several roles ask for; each yields what is wrong with one value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from fleet.model.rules import Refusal, every_address
from fleet.model.settings import UnrenderableError
from fleet.model.view import View

# Units run without the capability to take a port below.
LEAST_PORT, MOST_PORT = 1024, 65535
SHORTEST_SECRET = 20
PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")
# A unit cannot see these (ProtectHome=, PrivateTmp=), and /run is gone after a restart of the host.
HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp")  # noqa: S108
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
# What a header, a file of one line and a shell-like client take without quoting.
PRINTED = re.compile(r"[!-~]+")


def port(key: str, value: int, *, none: bool = False) -> Iterator[Refusal]:
    """Yield why a unit cannot listen on a TCP port.

    Args:
        key: the variable.
        value: the port.
        none: whether 0 says that there is no port.
    """
    if not LEAST_PORT <= value <= MOST_PORT and not (none and value == 0):
        right = f"take one from {LEAST_PORT} to {MOST_PORT}" + (", or 0 for none" if none else "")
        yield Refusal(key, f"{value} is no port that its unit may open", right)


def folder(key: str, value: str, example: str) -> Iterator[Refusal]:
    """Yield why a unit cannot keep data in a folder.

    Args:
        key: the variable.
        value: its path.
        example: a path that would be right.
    """
    if not PATH.fullmatch(value) or ".." in value.split("/"):
        yield Refusal(key, f"{value!r} is not a plain absolute path", f"take one such as {example}")
    elif any(value == place or value.startswith(f"{place}/") for place in HIDDEN):
        yield Refusal(key, f"{value} is hidden from the unit or lost at boot", f"take one such as {example}")


def account(key: str, value: str, example: str) -> Iterator[Refusal]:
    """Yield why a text is no name of a UNIX user or group that a service may be."""
    if not ACCOUNT.fullmatch(value):
        yield Refusal(key, f"{value!r} is no name of an account", f"take one such as {example}")
    elif value == "root":
        yield Refusal(key, "root may do everything anyhow, so the account would keep nobody out", f"take {example}")


def listening(settings: Mapping[str, Any], key: str) -> Iterator[Refusal]:
    """Yield why a web interface, which Prometheus reads at ansible_host or on loopback, cannot listen on an address.

    Args:
        settings: the variables of the host.
        key: the variable with the address.
    """
    value, own = settings[key], settings.get("ansible_host")
    right = "127.0.0.1 or {{ ansible_host }}"
    everywhere = list(every_address(settings, key, right))
    yield from everywhere
    if not everywhere and (":" in value or not (is_loopback(value) or value == own)):
        wrong = f"{value!r} is neither a loopback address (127.0.0.1) nor the host's own, {own} (ansible_host)"
        yield Refusal(key, wrong, f"write {right}")


def is_loopback(value: str) -> bool:
    """Return whether a text is an IPv4 address of the host itself."""
    return is_ipv4(value) and IPv4Address(value).is_loopback


def is_ipv4(value: str) -> bool:
    """Return whether a text is an IPv4 address."""
    try:
        IPv4Address(value)
    except AddressValueError:
        return False
    return True


def address(fleet: View, host: str) -> str:
    """Return where a host is reached (ansible_host); nothing where that is not set or cannot be known."""
    try:
        return str(fleet.settings(host).get("ansible_host") or "")
    except UnrenderableError:
        return ""


def secret(key: str, value: str, where: str, shortest: int = SHORTEST_SECRET) -> Iterator[Refusal]:
    """Yield why a text is no secret; the line has nothing of it.

    Args:
        key: the variable, with the way inside it.
        value: the secret.
        where: what to set in the inventory's secrets.yml.
        shortest: characters at least.
    """
    right = f"set {where} in the inventory's secrets.yml"
    if len(value) < shortest:
        yield Refusal(key, f"has {len(value)} characters, {shortest} are the least", right)
    elif not PRINTED.fullmatch(value):
        yield Refusal(key, "has a blank or a letter outside ASCII", right)
