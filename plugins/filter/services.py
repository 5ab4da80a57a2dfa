# SPDX-License-Identifier: Apache-2.0
"""What the services of a host declare to other roles, and their journal's keys and anchors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from station.journal.checkpoint import Signer

SHORTEST_SECRET = 32
# Rank in a drain by kind: who writes stops first, who is read by all last.
DRAIN = {"feed": 10, "agent": 30, "recorder": 50}


def services_scrape(services: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what Prometheus collects from the services.

    Args:
        services: `services_instances`; what is wrong with one is left out, and refused by the role's rules.
    """
    return [{"job": f"station-{name}", "port": port, "scope": "loopback"} for _, name, _, port in _described(services)]


def services_ports(services: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the ports that the services listen on, each with the key that sets it."""
    return [
        {
            "port": port,
            "scope": "loopback",
            "what": f"metrics of {name}",
            "key": f"services_instances.{number}.metrics_port",
        }
        for number, name, _, port in _described(services)
    ]


def services_units(services: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the services' units with their rank in a drain; a new release restarts them, an upgrade does not."""
    return [
        {"name": f"station@{name}.service", "drain": DRAIN[kind], "restart": False}
        for _, name, kind, _ in _described(services)
    ]


def _described(services: Sequence[Any]) -> Iterator[tuple[int, str, str, int]]:
    """Yield number, name, kind and port of each service that says them."""
    for number, one in enumerate(services):
        found = one if isinstance(one, Mapping) else {}
        name, kind, port = found.get("name"), found.get("kind"), found.get("metrics_port")
        if isinstance(name, str) and str(kind) in DRAIN and isinstance(port, int):
            yield number, str(name), str(kind), int(port)


def journal_key(secret: str, name: str) -> str:
    """Return the private key that signs checkpoints, made from a secret of the vault.

    Args:
        secret: random text.
        name: of the journal.
    """
    return _signer(secret, name).text()


def journal_verifier(secret: str, name: str) -> str:
    """Return the public half of `journal_key`."""
    return _signer(secret, name).verifier.text()


def journal_keys(services: Sequence[Any], secret: str, name: str) -> list[str]:
    """Return the public keys of a journal, the present one and those before; none without a secret.

    Args:
        services: `services_instances`.
        secret: random text; one that is too short is none.
        name: of the journal.
    """
    recorders = [one for one in services if isinstance(one, Mapping) and one.get("kind") == "recorder"]
    said = [one.get("former_keys") for one in recorders]
    former = [str(key) for keys in said if isinstance(keys, list) for key in keys]
    return [journal_verifier(secret, name), *former] if len(secret) >= SHORTEST_SECRET else []


def journal_anchors(hosts: Sequence[str], hostvars: Mapping[str, Any], own: str) -> list[dict[str, str]]:
    """Return where a journal is anchored: behind the socket on its own host, and on every other host of a group.

    Args:
        hosts: the group `anchors`.
        hostvars: variables of all hosts.
        own: the host that has the journal.

    Raises:
        AnsibleFilterError: no other host is in the group, or one has no address and port there.
    """
    others = [host for host in hosts if host != own]
    if not others:
        found = f"has {own} alone, whose own journal it is" if hosts else "has no host"
        raise AnsibleFilterError(f"group anchors {found}; put another host into it in hosts.yml")
    return [
        # Its socket is the one that the role anchor declares.
        {"name": "oversight"},
        *({"name": host, "address": _anchor_address(host, hostvars[host])} for host in others),
    ]


def _anchor_address(host: str, variables: Mapping[str, Any]) -> str:
    address, port = variables.get("ansible_host"), variables.get("anchor_port")
    if not (address and port):
        raise AnsibleFilterError(f"{host} of group anchors: ansible_host or anchor_port is missing; set it")
    return f"{address}:{port}"


def _signer(secret: str, name: str) -> Signer:
    if len(secret) < SHORTEST_SECRET:
        # Without the secret in it.
        raise AnsibleFilterError(
            f"services_journal_secret: shorter than {SHORTEST_SECRET} characters; set it in the inventory's secrets.yml"
        )
    return Signer(name, hashlib.sha256(f"station journal key\0{secret}".encode()).digest())


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {
            "services_scrape": services_scrape,
            "services_ports": services_ports,
            "services_units": services_units,
            "journal_anchors": journal_anchors,
            "journal_key": journal_key,
            "journal_keys": journal_keys,
        }
