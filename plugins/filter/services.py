# SPDX-License-Identifier: Apache-2.0
"""From the services of an inventory to the files and units that a host gets, or to what is wrong with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from station.config import AgentService, AnyService, FeedService, RecorderService, check_services
from station.config.base import STATE
from station.config.feeds import ReplayFeed
from station.config.services import KINDS
from station.journal.checkpoint import Signer

HALT = f"{STATE}/halt"
# Names that would be somebody else's folder or unit. Four folders held the machine's records before it had one of its
# own: what is found there on a host is moved away (role base, fleet_migrated).
RESERVED = {
    "halt": f"{HALT} belongs to the kill switch",
    "anchor": "station-anchor is the unit of the role anchor",
    **{name: f"{STATE}/{name} belonged to the machine" for name in ("units", "kernel", "onload", "ssh-rollback")},
}
SHORTEST_SECRET = 32
# Where a credential is from, if not from services_credentials.
ORIGINS = {
    "journal-key": f"set services_journal_secret, {SHORTEST_SECRET} characters or more",
    "questdb-http": "put the host into the group questdb, whose role brings it",
}
LOOPBACK = ("127.0.0.1", "localhost")
ANYWHERE = ["any"]
# Of the role anchor on the recorder's own host.
ANCHOR_SOCKET = "/run/station-anchor.sock"
# What is read starts before who reads it, and stops after it: so a stop of all drains.
BACKENDS = ("redis-server@bus.service", "questdb.service")
ORDER = (RecorderService, AgentService, FeedService)
HEAD = "# Written by Ansible from services_instances; changes are lost.\n"


def services_problems(services: Sequence[Any], credentials: Sequence[str], online: str) -> list[str]:
    """Say what is wrong with the services of a host, one line each.

    Args:
        services: `services_instances`.
        credentials: names of the credentials that the host will have.
        online: CPU list of the host, as /sys/devices/system/cpu/online has it.
    """
    content = _plain(services)
    problems = check_services(content)
    if problems:
        return problems
    return [line for service in _models(content) for line in _host_problems(service, set(credentials), _cpus(online))]


def _host_problems(service: AnyService, credentials: set[str], online: frozenset[int]) -> Iterator[str]:
    place = f"services_instances: {service.name}"
    own = f"{STATE}/{service.name}"
    if service.name in RESERVED:
        yield f"{place}: {RESERVED[service.name]}; give the service another name"
    if service.state_folder != own:
        yield f"{place}: state_folder: its unit may write {own} alone, not {service.state_folder}; leave it out"
    if service.halt_folder != HALT:
        yield f"{place}: halt_folder: the kill switch of this host is {HALT}, not {service.halt_folder}; leave it out"
    if isinstance(service, RecorderService) and not Path(service.folder).is_relative_to(own):
        yield f"{place}: folder: its unit may write {own} alone, not {service.folder}; name the service journal"
    for name in _credentials(service):
        if name not in credentials:
            known = ", ".join(sorted(credentials)) or "none"
            right = ORIGINS.get(name, "add it to services_credentials")
            yield f'{place}: no credential "{name}", there is {known}; {right}'
    for key, host in _far_hosts(service):
        if not _is_ipv4(host):
            yield f"{place}: {key}: {host} is a name, and a unit opens to addresses alone; write its IPv4 address"
    missing = sorted(service.wanted_cpus - online)
    if missing:
        shown = ",".join(map(str, missing))
        yield f"{place}: cpus: this host has no CPU {shown}, it has {_ranges(online)}; choose among these"


def services_units(services: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what each service's unit and file are made of, in the order in which they start.

    Args:
        services: `services_instances`.

    Raises:
        AnsibleFilterError: something is wrong with them; the message is the first thing.
    """
    content = _plain(services)
    problems = check_services(content)
    if problems:
        raise AnsibleFilterError(problems[0])
    pairs = sorted(zip(_models(content), content, strict=True), key=lambda pair: ORDER.index(type(pair[0])))
    return [
        {
            "name": model.name,
            "unit": f"station@{model.name}.service",
            "text": HEAD + yaml.safe_dump(raw, sort_keys=True, allow_unicode=True),
            "cpus": model.cpus,
            "watchdog_s": model.watchdog_s,
            "credentials": _credentials(model),
            "after": [*BACKENDS, *_before(model, [other for other, _ in pairs])],
            "network": _network(model),
            "metrics_port": model.metrics_port,
        }
        for model, raw in pairs
    ]


def services_set(units: Sequence[Mapping[str, Any]]) -> str:
    """Return the short hash of the files of all services."""
    text = json.dumps({unit["name"]: str(unit["text"]) for unit in units}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def services_scrape(services: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what Prometheus collects from the services."""
    return [
        {"job": f"station-{unit['name']}", "port": unit["metrics_port"], "scope": "loopback"}
        for unit in services_units(services)
    ]


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
    recorders = [one for one in _plain(services) if one.get("kind") == "recorder"]
    former = [str(key) for one in recorders for key in one.get("former_keys") or ()]
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
        {"name": "oversight", "socket": ANCHOR_SOCKET},
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


def _models(content: Sequence[Mapping[str, Any]]) -> list[AnyService]:
    return [KINDS[str(raw["kind"])].model_validate_json(json.dumps(raw)) for raw in content]


def _credentials(service: AnyService) -> list[str]:
    """Return the names of all credentials, wherever in the configuration they stand."""
    return sorted(set(_named_files(service.model_dump())))


def _named_files(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key.endswith("_file"):
                yield str(inner)
            else:
                yield from _named_files(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _named_files(inner)


def _before(service: AnyService, others: Sequence[AnyService]) -> list[str]:
    rank = ORDER.index(type(service))
    return [f"station@{other.name}.service" for other in others if ORDER.index(type(other)) < rank]


def _network(service: AnyService) -> list[str]:
    """Return whom a service talks to beyond this host."""
    if isinstance(service, FeedService) and not isinstance(service.feed, ReplayFeed):
        return ANYWHERE
    return sorted({host for _, host in _far_hosts(service)})


def _far_hosts(service: AnyService) -> list[tuple[str, str]]:
    """Return key and host of each address that a service is given and that is not this host's."""
    found: list[tuple[str, str | None]] = []
    if isinstance(service, RecorderService):
        found = [(f"anchors.{number}.address", anchor.address) for number, anchor in enumerate(service.anchors)]
        found.append(("questdb.address", service.questdb.address))
    elif isinstance(service, FeedService) and isinstance(service.feed, ReplayFeed) and service.feed.table:
        found = [("feed.table.address", service.feed.table.address)]
    pairs = [(key, address.rpartition(":")[0]) for key, address in found if address]
    return [(key, host) for key, host in pairs if host not in LOOPBACK]


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _cpus(text: str) -> frozenset[int]:
    ranges = (part.partition("-") for part in text.strip().split(",") if part)
    return frozenset(cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1))


def _ranges(cpus: frozenset[int]) -> str:
    starts = [cpu for cpu in sorted(cpus) if cpu - 1 not in cpus]
    ends = [cpu for cpu in sorted(cpus) if cpu + 1 not in cpus]
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


def _plain(value: Any) -> Any:
    """Return data without Ansible's own types, which neither YAML nor C code can read."""
    return json.loads(json.dumps(_walked(value), default=str))


def _walked(value: Any) -> Any:
    # Step by step: a template inside is put in when it is asked for.
    if isinstance(value, Mapping):
        return {str(key): _walked(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_walked(inner) for inner in value]
    return value


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {
            "services_problems": services_problems,
            "services_units": services_units,
            "services_set": services_set,
            "services_scrape": services_scrape,
            "journal_anchors": journal_anchors,
            "journal_key": journal_key,
            "journal_keys": journal_keys,
        }
