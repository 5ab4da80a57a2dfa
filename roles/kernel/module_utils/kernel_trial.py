# SPDX-License-Identifier: Apache-2.0
"""What a booted trial has to show before its line becomes permanent; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.host.cpu_lists import of_kernel
    from roles.kernel.module_utils.kernel_words import PAGE_KIB
else:
    from ansible.module_utils.cpu_lists import of_kernel
    from ansible.module_utils.kernel_words import PAGE_KIB

# "Unknown kernel command line parameters "splat foo=1", will be passed to user space." (init/main.c)
UNKNOWN = re.compile(r'Unknown kernel command line parameters "([^"]*)"')


@dataclass(frozen=True)
class Evidence:
    """What the running system shows.

    Attributes:
        isolated: text of /sys/devices/system/cpu/isolated.
        nohz_full: text of /sys/devices/system/cpu/nohz_full.
        log: the kernel's log.
        failed_units: units that have failed.
        pages: (size in KiB, NUMA node or None for all) -> huge pages reserved.
    """

    isolated: str = ""
    nohz_full: str = ""
    log: str = ""
    failed_units: tuple[str, ...] = ()
    pages: Mapping[tuple[int, int | None], int] = field(default_factory=dict)


def value_of(arguments: Sequence[str], name: str) -> str:
    """Return the value of the last argument of a name, "" when there is none."""
    return next((word.partition("=")[2] for word in reversed(arguments) if word.startswith(f"{name}=")), "")


def problems(
    arguments: Sequence[str], hugepages: Sequence[Mapping[str, Any]], before: Sequence[str], seen: Evidence
) -> tuple[str, ...]:
    """Return what is wrong with a booted trial, one phrase each.

    Args:
        arguments: the wanted arguments.
        hugepages: entries of size, count and perhaps node.
        before: units that had failed before the trial.
        seen: what the running system shows.
    """
    found = []
    for name, argument, text in (
        ("isolated", "isolcpus", seen.isolated),
        ("nohz_full", "nohz_full", seen.nohz_full),
    ):
        wanted = value_of(arguments, argument)
        if of_kernel(wanted) != of_kernel(text):
            is_now = text.strip() or "empty"
            found.append(f"/sys/devices/system/cpu/{name} is {is_now} with {argument}={wanted or '(not given)'}")
    unknown = {word for match in UNKNOWN.findall(seen.log) for word in match.split()}
    ours = [word for word in arguments if word in unknown]
    if ours:
        found.append(f"the kernel does not know {' '.join(ours)}")
    for entry in hugepages:
        node = entry.get("node")
        got = seen.pages.get((PAGE_KIB[str(entry["size"])], node), 0)
        if got < int(entry["count"]):
            where = "" if node is None else f" on node {node}"
            found.append(f"{got} of {entry['count']} huge pages of {entry['size']}{where} are reserved")
    fresh = sorted(set(seen.failed_units) - set(before))
    if fresh:
        found.append(f"{', '.join(fresh)} failed, which had not before")
    return tuple(found)
