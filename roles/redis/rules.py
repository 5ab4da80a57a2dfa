# SPDX-License-Identifier: Apache-2.0
"""What the role redis refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from fleet.hardware.cpus import CpuListError, compose, parse
from fleet.model import forms
from fleet.model.rules import Refusal
from fleet.model.view import View
from roles.redis.filter_plugins.redis_acl import acl_refusals

RUNTIME_DIRECTORY = "/run/redis-bus/"
SAVE = re.compile(r"([1-9]\d* [1-9]\d*)( [1-9]\d* [1-9]\d*)*")


def redis_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; memory_gib counts here.
        fleet: not asked.
    """
    yield from _memory(settings, hardware.get("memory_gib", 0))
    yield from _places(settings)
    yield from _ports(settings)
    yield from _ballast(settings)
    yield from _persistence(settings)
    yield from _cpus(settings)
    yield from acl_refusals(settings["redis_users"], settings["redis_passwords"])


def _memory(settings: Mapping[str, Any], memory_gib: float) -> Iterator[Refusal]:
    wanted, host = settings["redis_maxmemory_mib"], memory_gib * 1024
    if wanted <= 0:
        yield Refusal("redis_maxmemory_mib", f"{wanted} means no limit to Redis", "set the MiB that events may take")
    if wanted > host > 0:
        wrong = f"{wanted} MiB is more than the host's {host:.0f} MiB (hardware.memory_gib)"
        yield Refusal("redis_maxmemory_mib", wrong, "half of it is the most that leaves room for the fork of a rewrite")


def _places(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    group, socket, data = settings["redis_group"], settings["redis_socket"], settings["redis_data_path"]
    yield from forms.account("redis_group", group, "tradebus")
    name = socket.removeprefix(RUNTIME_DIRECTORY)
    if name == socket or not forms.PATH.fullmatch(socket) or "/" in name:
        wrong = f"{socket!r} is not a file in {RUNTIME_DIRECTORY}, the only place the unit may put it"
        yield Refusal("redis_socket", wrong, f"name one there, such as {RUNTIME_DIRECTORY}redis.sock")
    yield from forms.folder("redis_data_path", data, "/var/lib/redis-bus")


def _ports(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    yield from forms.port("redis_port", settings["redis_port"], none=True)
    yield from forms.port("redis_exporter_port", settings["redis_exporter_port"])
    for number, address in enumerate(settings["redis_bind"] if settings["redis_port"] else ()):
        if not is_address(address):
            wrong = f"{address!r} is no address of one interface; the event bus has no TLS"
            yield Refusal(f"redis_bind.{number}", wrong, "write an IP address, such as 127.0.0.1")


def is_address(text: str) -> bool:
    """Return whether a text is one IP address, and not that of every interface."""
    try:
        return not ip_address(text).is_unspecified
    except ValueError:
        return False


def _ballast(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    ballast, least = settings["redis_ballast_mib"], settings["redis_min_free_mib"]
    if ballast < 0:
        yield Refusal("redis_ballast_mib", f"{ballast} is less than nothing", "write 0 for none, or more")
    if least <= 0:
        yield Refusal("redis_min_free_mib", f"{least} guards nothing", "write the MiB that the server needs to start")
    elif 0 < ballast < least:
        wrong = f"deleting {ballast} MiB would not bring back the {least} MiB of redis_min_free_mib"
        yield Refusal("redis_ballast_mib", wrong, f"make it {least} or more, or 0 for none")


def _persistence(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    rule = settings["redis_save"]
    if rule and not SAVE.fullmatch(rule):
        right = "write seconds and changes, such as '3600 1', or nothing for none"
        yield Refusal("redis_save", f"{rule!r} is no snapshot rule", right)
    for key in ("redis_aof_rewrite_percentage", "redis_acllog_entries"):
        if settings[key] < 0:
            yield Refusal(key, f"{settings[key]} is less than nothing", "write 0 or more")


def _cpus(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    try:
        both = parse(settings["redis_cpus"]) & parse(settings["redis_background_cpus"])
    except CpuListError:
        return  # the check of CPU lists reports it
    if both:
        wrong = f"CPU {compose(both)} is in redis_cpus too, where a rewrite would stall the main thread"
        yield Refusal("redis_background_cpus", wrong, "take others")
