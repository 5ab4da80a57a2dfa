# SPDX-License-Identifier: Apache-2.0
"""What the role redis refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.hardware.cpus import CpuListError, compose, parse
from fleet.model.rules import Refusal
from fleet.model.view import View
from roles.redis.filter_plugins.redis_acl import acl_refusals

RUNTIME_DIRECTORY = "/run/redis-bus/"
GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
# The unit cannot see these (ProtectHome=, PrivateTmp=), and /run is gone after a restart of the host.
HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp")  # noqa: S108
PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")


def redis_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; memory_gib counts here.
        fleet: not asked.
    """
    yield from _memory(settings, hardware.get("memory_gib", 0))
    yield from _places(settings)
    yield from _ballast(settings)
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
    if not GROUP.fullmatch(group):
        yield Refusal("redis_group", f"{group!r} is no group name", "the socket needs one, such as tradebus")
    name = socket.removeprefix(RUNTIME_DIRECTORY)
    if name == socket or not PATH.fullmatch(socket) or "/" in name:
        wrong = f"{socket!r} is not a file in {RUNTIME_DIRECTORY}, the only place the unit may put it"
        yield Refusal("redis_socket", wrong, f"name one there, such as {RUNTIME_DIRECTORY}redis.sock")
    if not PATH.fullmatch(data) or ".." in data.split("/"):
        yield Refusal(
            "redis_data_path", f"{data!r} is not a plain absolute path", "take one such as /var/lib/redis-bus"
        )
    elif any(data == place or data.startswith(f"{place}/") for place in HIDDEN):
        wrong = f"{data} is hidden from the unit or lost at boot"
        yield Refusal("redis_data_path", wrong, "take one such as /var/lib/redis-bus")


def _ballast(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    ballast, least = settings["redis_ballast_mib"], settings["redis_min_free_mib"]
    if ballast < 0:
        yield Refusal("redis_ballast_mib", f"{ballast} is less than nothing", "write 0 for none, or more")
    if least <= 0:
        yield Refusal("redis_min_free_mib", f"{least} guards nothing", "write the MiB that the server needs to start")
    elif 0 < ballast < least:
        wrong = f"deleting {ballast} MiB would not bring back the {least} MiB of redis_min_free_mib"
        yield Refusal("redis_ballast_mib", wrong, f"make it {least} or more, or 0 for none")


def _cpus(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    try:
        both = parse(settings["redis_cpus"]) & parse(settings["redis_background_cpus"])
    except CpuListError:
        return  # the check of CPU lists reports it
    if both:
        wrong = f"CPU {compose(both)} is in redis_cpus too, where a rewrite would stall the main thread"
        yield Refusal("redis_background_cpus", wrong, "take others")
