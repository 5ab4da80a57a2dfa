# SPDX-License-Identifier: Apache-2.0
"""The CPUs of a machine that the inventory describes, by physical core; and what a choice of them splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.host.cpu_lists import CpuListError, compose, parse

__all__ = ["CpuListError", "compose", "cores", "misfit", "parse"]

FORM = 'write a Linux CPU list such as "0-3,8"'


def cores(cpu: Mapping[str, Any]) -> tuple[frozenset[int], ...]:
    """Return the CPUs of each physical core whose hardware threads are known.

    Efficiency cores have one thread each. How the threads of the others are numbered is the inventory's word
    (`siblings`): `adjacent` is 0/1, 2/3, ...; `apart` is i and i + n on n cores.

    Args:
        cpu: the `hardware.cpu` of a host.

    Raises:
        CpuListError: a list of the hardware is no CPU list, or does not divide into cores.
    """
    threaded = sorted(parse(str(cpu.get("performance_cpus") or "")))
    single = [frozenset({number}) for number in sorted(parse(str(cpu.get("efficiency_cpus") or "")))]
    threads = int(cpu.get("threads_per_core") or 1)
    if len(threaded) % threads:
        raise CpuListError(f'"{cpu["performance_cpus"]}" does not divide into cores of {threads} threads')
    number = len(threaded) // threads
    if cpu.get("siblings") == "apart":
        found = [frozenset(threaded[index::number]) for index in range(number)]
    else:
        found = [frozenset(threaded[index : index + threads]) for index in range(0, len(threaded), threads)]
    return (*found, *single)


def misfit(text: str, cores: tuple[frozenset[int], ...]) -> tuple[str, str] | None:
    """Return what is wrong with a choice of CPUs and what would be right, or None.

    Args:
        text: a CPU list.
        cores: of the host.
    """
    try:
        chosen = parse(text)
    except CpuListError as error:
        return str(error), FORM
    known: frozenset[int] = frozenset().union(*cores)
    absent = chosen - known
    if absent:
        wrong = f'"{compose(chosen)}" names CPUs {compose(absent)}, which the host does not have'
        if not known:
            return wrong, "hardware.cpu lists no CPUs of this host"
        return wrong, f"it has {compose(known)} (hardware.cpu)"
    split = [core for core in cores if core & chosen and not core <= chosen]
    if not split:
        return None
    names = ", ".join("/".join(map(str, sorted(core))) for core in split)
    whole = compose(frozenset().union(*(core for core in cores if core & chosen)))
    smaller = compose(frozenset().union(*(core for core in cores if core <= chosen)))
    wrong = f'"{compose(chosen)}" splits the sibling threads {names} of a core'
    return wrong, f'take whole cores: "{whole}"' + (f' or "{smaller}"' if smaller else "")
