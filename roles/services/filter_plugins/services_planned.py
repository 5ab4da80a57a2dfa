# SPDX-License-Identifier: Apache-2.0
"""From the services of an inventory, and what other roles declare for them, to the files and units of a host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from station.config import AnyService, FeedService, RecorderService, check_services
from station.config.feeds import ReplayFeed
from station.config.services import KINDS

from fleet.hardware.cpus import compose, parse
from plugins.filter.services import DRAIN, journal_key

LOOPBACK = ("127.0.0.1", "localhost")
ANYWHERE = ["any"]
HEAD = "# Written by Ansible from services_instances; changes are lost.\n"
CREDENTIALS = "/etc/credstore"
ARCHITECTURE = "x86_64"
# Units of higher ranks watch the services or tune the machine; a service needs none of them.
NEEDED = 90

Declared = Mapping[str, Mapping[str, Any]]  # role -> noun -> value


def completed(service: Any, declared: Declared) -> Any:
    """Return a service as its file has it: what other roles declare stands where the description says nothing.

    Args:
        service: plain data; what is no service comes back as it is.
        declared: role of the host -> noun -> value.
    """
    if not isinstance(service, Mapping):
        return service
    filled = dict(service)
    bus, history, anchor = (declared.get(role, {}) for role in ("redis", "questdb", "anchor"))
    _fill(filled, "redis", {"socket": bus.get("socket")})
    database = {"address": history.get("endpoint"), "user": history.get("login")}
    if service.get("kind") == "recorder":
        _fill(filled, "questdb", database)
        if isinstance(service.get("anchors"), list):
            filled["anchors"] = [_anchor(one, anchor.get("socket")) for one in service["anchors"]]
    feed = service.get("feed")
    if isinstance(feed, Mapping) and isinstance(feed.get("table"), Mapping):
        filled["feed"] = dict(feed)
        _fill(filled["feed"], "table", database)
    return filled


def _fill(holder: dict[str, Any], key: str, values: Mapping[str, Any]) -> None:
    said = holder.get(key, {})
    if isinstance(said, Mapping):
        found = {name: value for name, value in values.items() if value} | dict(said)
        if found:
            holder[key] = found


def _anchor(anchor: Any, socket: str | None) -> Any:
    if isinstance(anchor, Mapping) and socket and not anchor.keys() & {"socket", "address"}:
        return {**anchor, "socket": socket}
    return anchor


def services_planned(services: Sequence[Any], declared: Declared) -> list[dict[str, Any]]:
    """Return what each service's unit and file are made of, in the order in which they start.

    Args:
        services: `services_instances`.
        declared: role of the host -> noun -> value.

    Raises:
        AnsibleFilterError: something is wrong with them; the message is the first thing.
    """
    declared = plain_data(declared)
    content = [completed(one, declared) for one in plain_data(services)]
    for fault in check_services(content):
        raise AnsibleFilterError(str(fault))
    pairs = sorted(zip(models(content), content, strict=True), key=lambda pair: -DRAIN[pair[0].kind])
    ranks = [(f"station@{model.name}.service", DRAIN[model.kind]) for model, _ in pairs]
    known = credential_files(declared)
    return [
        {
            "name": model.name,
            "unit": f"station@{model.name}.service",
            "text": HEAD + yaml.safe_dump(raw, sort_keys=True, allow_unicode=True),
            "cpus": model.cpus,
            "watchdog_s": model.watchdog_s,
            "credentials": {name: known.get(name, f"{CREDENTIALS}/{name}") for name in named_credentials(model)},
            "after": _after(DRAIN[model.kind], [*_needed(declared), *ranks]),
            "network": _network(model),
            "metrics_port": model.metrics_port,
        }
        for model, raw in pairs
    ]


def _needed(declared: Declared) -> Iterator[tuple[str, int]]:
    for nouns in declared.values():
        for unit in nouns.get("units", ()):
            if unit["drain"] <= NEEDED:
                yield str(unit["name"]), int(unit["drain"])


def _after(own: int, ranks: Sequence[tuple[str, int]]) -> list[str]:
    """Return the units of a higher rank: what is read starts before who reads it and stops after it."""
    return [name for name, rank in ranks if rank > own]


def services_set(planned: Sequence[Mapping[str, Any]]) -> str:
    """Return the short hash of the files of all services.

    Args:
        planned: of `services_planned`.
    """
    text = json.dumps({unit["name"]: str(unit["text"]) for unit in planned}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def services_files(planned: Sequence[Mapping[str, Any]], files: str, release: str) -> list[dict[str, Any]]:
    """Return an entry of a file set for each service's file and for what is its unit's own.

    Args:
        planned: of `services_planned`.
        files: of `services_set`.
        release: folder of the release, which says whether a file is right.
    """
    return [
        entry
        for unit in planned
        for entry in (
            {
                "path": f"/etc/station/sets/{files}/{unit['name']}.yml",
                "content": unit["text"],
                "validate": [f"{release}/venv/bin/station", "config", "check", "%s"],
            },
            {
                "path": f"/etc/systemd/system/{unit['unit']}.d/service.conf",
                "template": "service.conf.j2",
                "vars": {"item": unit},
            },
        )
    ]


def services_secrets(credentials: Mapping[str, str], secret: str, name: str) -> list[dict[str, Any]]:
    """Return an entry of a file set for each secret of the services, root's alone.

    Args:
        credentials: `services_credentials`.
        secret: `services_journal_secret`; none makes no key.
        name: of the journal.
    """
    found = dict(credentials) | ({"journal-key": f"{journal_key(secret, name)}\n"} if secret else {})
    return [
        {"path": f"{CREDENTIALS}/{one}", "content": content, "mode": "0600", "secret": True}
        for one, content in found.items()
    ]


def services_host_problems(planned: Sequence[Mapping[str, Any]], online: str, architecture: str) -> list[str]:
    """Say why the services cannot run on the host, one line each.

    Args:
        planned: of `services_planned`.
        online: CPU list of the host, as /sys/devices/system/cpu/online has it.
        architecture: of the host.
    """
    here = parse(online.strip())
    problems = []
    if architecture != ARCHITECTURE:
        problems.append(
            f"the services are locked for {ARCHITECTURE}, this host is {architecture}; take it out of the group agents"
        )
    for unit in planned:
        missing = parse(unit["cpus"]) - here
        if missing:
            problems.append(
                f"services_instances: {unit['name']}: cpus: this host has no CPU {compose(missing)} now, it has"
                f" {compose(here)}; choose among these"
            )
    return problems


def credential_files(declared: Declared) -> dict[str, str]:
    """Return name -> file of the credentials that other roles of the host bring."""
    return {
        str(name): str(file) for nouns in declared.values() for name, file in nouns.get("credential_files", {}).items()
    }


def models(content: Sequence[Mapping[str, Any]]) -> list[AnyService]:
    """Return services without faults as the models that read their files."""
    return [KINDS[str(raw["kind"])].model_validate_json(json.dumps(raw)) for raw in content]


def named_credentials(service: AnyService) -> list[str]:
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


def _network(service: AnyService) -> list[str]:
    """Return whom a service talks to beyond this host."""
    if isinstance(service, FeedService) and not isinstance(service.feed, ReplayFeed):
        return ANYWHERE
    return sorted({host for _, host in far_hosts(service)})


def far_hosts(service: AnyService) -> list[tuple[str, str]]:
    """Return key and host of each address that a service is given and that is not this host's."""
    found: list[tuple[str, str | None]] = []
    if isinstance(service, RecorderService):
        found = [(f"anchors.{number}.address", anchor.address) for number, anchor in enumerate(service.anchors)]
        found.append(("questdb.address", service.questdb.address))
    elif isinstance(service, FeedService) and isinstance(service.feed, ReplayFeed) and service.feed.table:
        found = [("feed.table.address", service.feed.table.address)]
    pairs = [(key, address.rpartition(":")[0]) for key, address in found if address]
    return [(key, host) for key, host in pairs if host not in LOOPBACK]


def plain_data(value: Any) -> Any:
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
            "services_planned": services_planned,
            "services_set": services_set,
            "services_files": services_files,
            "services_secrets": services_secrets,
            "services_host_problems": services_host_problems,
        }
