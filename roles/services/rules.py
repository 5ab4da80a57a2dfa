# SPDX-License-Identifier: Apache-2.0
"""What the role services refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from station.config import AnyService, RecorderService, check_services
from station.config.base import STATE

from fleet.hardware.cpus import CpuListError, compose, parse
from fleet.model import forms
from fleet.model.rules import Refusal, declarations
from fleet.model.view import View
from plugins.filter.services import SHORTEST_SECRET
from roles.services.filter_plugins.services_planned import (
    Declared,
    completed,
    credential_files,
    far_hosts,
    models,
    named_credentials,
)

HALT = f"{STATE}/halt"
# Names that would be somebody else's folder or unit. Four folders held the machine's records before it had one of its
# own: what is found there on a host is moved away.
RESERVED = {
    "halt": f"{HALT} belongs to the kill switch",
    "history": f"{STATE}/history belongs to the command `station data`",
    "anchor": "station-anchor is the unit of the role anchor",
    **{name: f"{STATE}/{name} belonged to the machine" for name in ("units", "kernel", "onload", "ssh-rollback")},
}
# Where a credential is from, if not from services_credentials.
ORIGINS = {
    "journal-key": f"set services_journal_secret, {SHORTEST_SECRET} characters or more",
    "questdb-http": "put the host into the group questdb, whose role brings it",
}
# What services need of the other roles of their host.
NOUNS = {
    "redis": ("socket", "units"),
    "questdb": ("endpoint", "login", "credential_files", "units"),
    "anchor": ("socket", "units"),
}
JOURNAL_NAME = re.compile(r"[^\s+]{1,200}")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
SECONDS = ("services_ready_seconds", "services_drain_seconds")


def services_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; cpu counts here.
        fleet: what the other roles of the host declare.
    """
    declared = declared_for_services(fleet, str(settings["inventory_hostname"]))
    yield from _secrets(settings, credential_files(declared))
    yield from _data(settings["services_data"])
    if not JOURNAL_NAME.fullmatch(settings["services_journal_name"]):
        wrong = f"{settings['services_journal_name']!r} is no name of a journal"
        yield Refusal("services_journal_name", wrong, "take up to 200 characters without blanks and +")
    for key in SECONDS:
        if settings[key] <= 0:
            yield Refusal(key, f"{settings[key]} s leave no service the time", "write the seconds that it needs")
    yield from _services(settings, declared, _cpus(hardware))


def declared_for_services(fleet: View, host: str) -> dict[str, dict[str, Any]]:
    """Return role -> noun -> value of what services need; a role that the host lacks is left out."""
    found: dict[str, dict[str, Any]] = {}
    for noun in dict.fromkeys(noun for nouns in NOUNS.values() for noun in nouns):
        for role, value in declarations(fleet, noun, [host]).get(host, {}).items():
            if noun in NOUNS.get(role, ()):
                found.setdefault(role, {})[noun] = value
    return found


def _secrets(settings: Mapping[str, Any], brought: Mapping[str, str]) -> Iterator[Refusal]:
    for name, value in settings["services_credentials"].items():
        key = f"services_credentials.{name}"
        if not FILE_NAME.fullmatch(name):
            yield Refusal(key, "is no name of a credential", "take letters, digits, '_', '.' and '-'")
        elif name in brought or name in ORIGINS:
            wrong = "is the credential of another role or variable"
            yield Refusal(key, wrong, f"leave it out, and {ORIGINS.get(name, 'give this one another name')}")
        yield from forms.secret(key, value if isinstance(value, str) else "", "its vault_ variable")
    secret = settings["services_journal_secret"]
    if secret:
        yield from forms.secret("services_journal_secret", secret, "vault_agents_journal", SHORTEST_SECRET)


def _data(data: Mapping[str, Any]) -> Iterator[Refusal]:
    for name, file in data.items():
        key = f"services_data.{name}"
        if not FILE_NAME.fullmatch(name):
            yield Refusal(key, "is no name of a file", "take letters, digits, '_', '.' and '-'")
        if not isinstance(file, str) or not Path(file).is_file():
            wrong = f"there is no file {str(file)!r} on the control machine"
            yield Refusal(key, wrong, "put it there, or take the key out")


def _services(settings: Mapping[str, Any], declared: Declared, cpus: frozenset[int]) -> Iterator[Refusal]:
    services: Sequence[Any] = settings["services_instances"]
    if services and "redis" not in declared:
        wrong = "services reach the event bus through a socket, and this host has none"
        yield Refusal("services_instances", wrong, "put the host into the group redis in hosts.yml")
    content = [completed(one, declared) for one in services]
    faults = check_services(content)
    for fault in faults:
        wrong, _, right = fault.words.partition("; ")
        yield Refusal(f"{fault.document.where}.{fault.key}".rstrip("."), wrong, right)
    if faults:
        return
    known = {*settings["services_credentials"], *credential_files(declared)}
    if len(settings["services_journal_secret"]) >= SHORTEST_SECRET:
        known.add("journal-key")
    for number, service in enumerate(models(content)):
        for refusal in (*_places(service), *_needs(service, known), *_pinned(service, cpus)):
            # What a service does not say itself is said by its name.
            yield Refusal(f"services_instances.{number}.{refusal.key}", refusal.wrong, refusal.right)


def _places(service: AnyService) -> Iterator[Refusal]:
    own = f"{STATE}/{service.name}"
    if service.name in RESERVED:
        yield Refusal("name", RESERVED[service.name], "give the service another name")
    if service.state_folder != own:
        yield Refusal("state_folder", f"its unit may write {own} alone, not {service.state_folder}", "leave it out")
    if service.halt_folder != HALT:
        wrong = f"the kill switch of this host is {HALT}, not {service.halt_folder}"
        yield Refusal("halt_folder", wrong, "leave it out")
    if isinstance(service, RecorderService) and not Path(service.folder).is_relative_to(own):
        yield Refusal("folder", f"its unit may write {own} alone, not {service.folder}", "name the service journal")


def _needs(service: AnyService, known: set[str]) -> Iterator[Refusal]:
    for name in named_credentials(service):
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            wrong = f'{service.name} needs the credential "{name}", and there is {there}'
            yield Refusal("name", wrong, ORIGINS.get(name, "add it to services_credentials"))
    for key, host in far_hosts(service):
        if not forms.is_ipv4(host):
            wrong = f"{host} is a name, and a unit opens to addresses alone"
            yield Refusal(key, wrong, "write its IPv4 address")


def _pinned(service: AnyService, cpus: frozenset[int]) -> Iterator[Refusal]:
    try:
        missing = parse(service.cpus) - cpus
    except CpuListError as error:
        yield Refusal("cpus", str(error), "choose among the CPUs of the host")
        return
    if cpus and missing:
        wrong = f"this host has no CPU {compose(missing)}, it has {compose(cpus)} (hardware.cpu)"
        yield Refusal("cpus", wrong, "choose among these")


def _cpus(hardware: Mapping[str, Any]) -> frozenset[int]:
    """Return the CPUs of the host; none when nobody has counted them."""
    cpu = hardware.get("cpu")
    known = cpu if isinstance(cpu, Mapping) else {}
    try:
        return parse(str(known.get("performance_cpus") or "")) | parse(str(known.get("efficiency_cpus") or ""))
    except CpuListError:
        return frozenset()
