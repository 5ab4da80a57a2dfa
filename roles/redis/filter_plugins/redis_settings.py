# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the event bus's settings, seen before anything on the host is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

RUNTIME_DIRECTORY = "/run/redis-bus/"
GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
# The unit cannot see these (ProtectHome=, PrivateTmp=), and /run is gone after a restart of the host.
HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp")  # noqa: S108
PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")


def settings_problems(settings: Mapping[str, Any], memory_gib: float) -> list[str]:
    """Say what is wrong with the settings themselves, one line each.

    Args:
        settings: the role's variables by name.
        memory_gib: memory of the host (hardware.memory_gib).
    """
    return [*_memory(settings, memory_gib), *_places(settings), *_ballast(settings), *_cpus(settings)]


def _memory(settings: Mapping[str, Any], memory_gib: float) -> Iterator[str]:
    wanted, host = settings["redis_maxmemory_mib"], memory_gib * 1024
    if wanted <= 0:
        yield f"redis_maxmemory_mib: {wanted} means no limit to Redis; set the MiB that events may take"
    if wanted > host:
        yield (
            f"redis_maxmemory_mib: {wanted} MiB is more than the host's {host:.0f} MiB (hardware.memory_gib);"
            " half of it is the most that leaves room for the fork of a rewrite"
        )


def _places(settings: Mapping[str, Any]) -> Iterator[str]:
    if not GROUP.fullmatch(settings["redis_group"]):
        yield f"redis_group: {settings['redis_group']!r} is no group name; the socket needs one, such as tradebus"
    socket = settings["redis_socket"]
    name = socket.removeprefix(RUNTIME_DIRECTORY)
    if name == socket or not PATH.fullmatch(socket) or "/" in name:
        yield f"redis_socket: {socket!r} is not a file in {RUNTIME_DIRECTORY}, the only place the unit may put it"
    data = settings["redis_data_path"]
    if not PATH.fullmatch(data) or ".." in data.split("/"):
        yield f"redis_data_path: {data!r} is not a plain absolute path"
    elif any(data == place or data.startswith(f"{place}/") for place in HIDDEN):
        yield f"redis_data_path: {data} is hidden from the unit or lost at boot; take one such as /var/lib/redis-bus"


def _ballast(settings: Mapping[str, Any]) -> Iterator[str]:
    ballast, least = settings["redis_ballast_mib"], settings["redis_min_free_mib"]
    if ballast < 0 or least <= 0:
        yield "redis_ballast_mib must be 0 or more, redis_min_free_mib more than 0"
    elif 0 < ballast < least:
        yield (
            f"redis_ballast_mib: deleting {ballast} MiB would not bring back the {least} MiB of redis_min_free_mib;"
            f" make it {least} or more, or 0 for none"
        )


def _cpus(settings: Mapping[str, Any]) -> Iterator[str]:
    both = cpu_numbers(settings["redis_cpus"]) & cpu_numbers(settings["redis_background_cpus"])
    if both:
        shared = ",".join(str(cpu) for cpu in sorted(both))
        yield f"redis_background_cpus: CPU {shared} is in redis_cpus too; a rewrite would stall the main thread"


def cpu_numbers(text: str) -> frozenset[int]:
    """Return the CPUs of a Linux CPU list such as "2-5,8"; none for an empty text."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def host_problems(found: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Say why the host cannot take these settings now, one line each.

    Args:
        found: what `redis-bus state` printed: free_mib, ballast_mib, data_path, stock, ports.
        settings: the role's variables by name.
    """
    return [*_space(found, settings), *_other_owners(found, settings)]


def _space(found: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    path = settings["redis_data_path"]
    missing = missing_mib(
        free=found["free_mib"],
        laid=found["ballast_mib"],
        ballast=settings["redis_ballast_mib"],
        least=settings["redis_min_free_mib"],
    )
    if missing > 0:
        yield (
            f"disk full on the data volume: {path} has {found['free_mib']} MiB free, {missing} MiB too few for"
            f" ballast ({settings['redis_ballast_mib']} MiB, {found['ballast_mib']} there) and guard"
            f" ({settings['redis_min_free_mib']} MiB); free space or lower redis_ballast_mib or redis_min_free_mib"
        )


def missing_mib(*, free: int, laid: int, ballast: int, least: int) -> int:
    """Return how much space is missing once the ballast has its size and the guard its minimum; 0 when none is.

    Args:
        free: free space now.
        laid: size of the ballast that is there now.
        ballast: size of the ballast that is wanted.
        least: free space the server needs to start.
    """
    return max(0, ballast + least - laid - free)


def _other_owners(found: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    now, wanted = found["data_path"], settings["redis_data_path"]
    if now and now != wanted:
        yield (
            f"redis_data_path: the events lie in {now} and would be left behind in a move to {wanted};"
            f" stop redis-server@bus.service, move the directory, remove /etc/redis/redis-bus.conf, run again"
        )
    if found["stock"]:
        yield (
            "redis-server.service, the distribution's instance, runs on this host with data of its own;"
            " save what is needed, then: systemctl disable --now redis-server.service"
        )
    names = {settings["redis_port"]: "redis_port", settings["redis_exporter_port"]: "redis_exporter_port"}
    for port, owner in (found["ports"] or {}).items():
        yield f"{names.get(port, 'port')}: TCP port {port} is in use by {owner}; stop it or choose another port"


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"redis_settings_problems": settings_problems, "redis_host_problems": host_problems}
