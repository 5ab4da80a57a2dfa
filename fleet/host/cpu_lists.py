# SPDX-License-Identifier: Apache-2.0
"""Linux CPU lists such as "0-3,8", for the control machine, for modules, and for programs that roles install."""

from __future__ import annotations

import re
from collections.abc import Iterable

PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
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


def of_kernel(text: str) -> frozenset[int]:
    """Return the CPUs of a list as the kernel takes or prints it: flags (managed_irq) and (null) are no CPUs.

    Raises:
        CpuListError: the rest of the text is no CPU list.
    """
    return parse(",".join(part for part in text.split(",") if part.strip()[:1].isdigit()))


def compose(cpus: Iterable[int]) -> str:
    """Return the shortest list of some CPUs, as the kernel prints it."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
