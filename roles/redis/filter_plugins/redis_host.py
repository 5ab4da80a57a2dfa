# SPDX-License-Identifier: Apache-2.0
"""Why a host cannot take the event bus now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def host_problems(
    found: Mapping[str, Any], data_path: str, ballast_mib: int, min_free_mib: int, ports: Mapping[int, str]
) -> list[str]:
    """Say why the host cannot take the event bus now, one line each.

    Args:
        found: what `redis-bus state` printed: free_mib, ballast_mib, data_path, stock, ports.
        data_path: redis_data_path.
        ballast_mib: redis_ballast_mib.
        min_free_mib: redis_min_free_mib.
        ports: TCP port -> variable that sets it.
    """
    return [*_space(found, data_path, ballast_mib, min_free_mib), *_other_owners(found, data_path, ports)]


def _space(found: Mapping[str, Any], path: str, ballast: int, least: int) -> Iterator[str]:
    missing = missing_mib(free=found["free_mib"], laid=found["ballast_mib"], ballast=ballast, least=least)
    if missing > 0:
        yield (
            f"disk full on the data volume: {path} has {found['free_mib']} MiB free, {missing} MiB too few for"
            f" ballast ({ballast} MiB, {found['ballast_mib']} there) and guard ({least} MiB);"
            f" free space or lower redis_ballast_mib or redis_min_free_mib"
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


def _other_owners(found: Mapping[str, Any], wanted: str, names: Mapping[int, str]) -> Iterator[str]:
    now = found["data_path"]
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
    for port, owner in (found["ports"] or {}).items():
        yield f"{names.get(port, 'port')}: TCP port {port} is in use by {owner}; stop it or choose another port"


class FilterModule:
    """The filters by the names templates use."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file."""
        return {"redis_host_problems": host_problems}
