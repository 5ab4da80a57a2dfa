# SPDX-License-Identifier: Apache-2.0
"""Why a host cannot take the event bus now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


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
        return {"redis_host_problems": host_problems}
