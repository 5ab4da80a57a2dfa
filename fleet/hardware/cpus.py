# SPDX-License-Identifier: Apache-2.0
"""Linux CPU lists such as "0-3,8", and the cores they touch on a machine that the inventory describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

PART = re.compile(r"(\d+)(?:-(\d+))?")
HIGHEST = 8191  # the kernel's largest NR_CPUS (arch/x86/Kconfig)


class CpuListError(ValueError):
    """A text that is no CPU list."""


def parse(text: str) -> frozenset[int]:
    """Return the CPUs of a list; the empty text is the empty list.

    Raises:
        CpuListError: the text is no CPU list.
    """
    cpus: set[int] = set()
    for part in text.split(",") if text.strip() else ():
        match = PART.fullmatch(part.strip())
        if match is None:
            raise CpuListError(f'"{text}" is no CPU list')
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise CpuListError(f'"{text}" counts down in {part.strip()}')
        if last > HIGHEST:
            raise CpuListError(f'"{text}" names CPU {last}, beyond any machine')
        cpus.update(range(first, last + 1))
    return frozenset(cpus)


def compose(cpus: Iterable[int]) -> str:
    """Return the shortest list of some CPUs, as the kernel prints it."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


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
