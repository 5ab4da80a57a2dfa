# SPDX-License-Identifier: Apache-2.0
"""The page of the kernel layer: which CPUs of a host do what, its command line, and why each argument is there."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.hardware.isolation import CpuSets
from fleet.model.cpu_sets import cpu_sets
from fleet.model.model import Fleet
from fleet.model.rules import Judged
from roles.kernel.policy.line import PROFILES, Argument, Options, line
from roles.kernel.policy.refusals import HARMFUL, MEMORY_SHARE
from tools.pages import markdown

SET_TITLES = ("Host", "Profile", "Isolated", "Housekeeping", "Interrupts", "Idle threads", "Services")
HARMFUL_TITLES = ("Argument", "Why not", "Instead")
INTRODUCTION = """\
# Kernel command lines

The CPU sets that follow from `cpu_isolation` (host_vars) for each processor of `inventory/production`, and the
arguments that each host boots with. Only whole cores are isolated, never CPU 0, and efficiency cores only in modules of
four that share a cache. A command line becomes permanent only after the host has come back and passed its checks.

## CPU sets
"""
LINES = """\
## Command lines

The arguments that the role `kernel` adds to the distribution's own line. Other hosts boot the distribution's line.
"""
TABLE = f"""\
## Profiles

`kernel_profile` says what a machine is tuned for. An argument of the profile may not be repeated in `kernel_arguments`.

- Arguments with CPU lists exist only if CPUs are isolated.
- `preempt=` and `transparent_hugepage=` are left out on a realtime kernel, which does not know them.
- Huge pages (`kernel_hugepages`) are reserved at boot, before memory is fragmented (hugetlbpage.rst), and take at most
  {MEMORY_SHARE} % of a node's memory.
"""
REFUSED = """\
## Refused arguments

Arguments that guides recommend and that `make check-inventory` refuses, in `kernel_arguments` and in those of roles.
"""


def page(fleet: Fleet) -> str:
    """Return the page for an inventory."""
    known = {host: Judged(fleet.settings(host), fleet.options(host)) for host in fleet.hosts}
    sets = {host: cpu_sets(settings, settings.get("hardware") or {}) for host, settings in known.items()}
    return "\n".join(
        [
            markdown.HEAD.format(source="inventory/production or roles/kernel/policy/line.py"),
            INTRODUCTION,
            markdown.table(SET_TITLES, (_sets(host, _profile(known[host]), sets[host]) for host in fleet.hosts)),
            LINES,
            *_lines(fleet, known, sets),
            TABLE,
            markdown.table(("Argument", *PROFILES, "Source"), _profiles()),
            REFUSED,
            markdown.table(HARMFUL_TITLES, _harmful()),
        ]
    )


def _profile(settings: Judged) -> str:
    return str(settings.get("kernel_profile") or "none")


def _sets(host: str, profile: str, sets: CpuSets) -> tuple[str, ...]:
    services = ", ".join(f"{name} {text}" for name, text in sets.services.items())
    lists = (sets.isolated, sets.housekeeping, sets.irq, sets.idle, services)
    return (markdown.code(host), profile, *(text or "-" for text in lists))


def _lines(fleet: Fleet, known: dict[str, Judged], sets: dict[str, CpuSets]) -> Iterator[str]:
    for host, divided in sets.items():
        chosen = line(_profile(known[host]), divided.as_dict(), Options.of(known[host], fleet))
        if chosen:
            words = "\n".join(item.text for item in chosen)
            yield f"### {host}\n\n```\n{words}\n```\n"


def _profiles() -> Iterator[tuple[str, ...]]:
    arguments: dict[Argument, None] = dict.fromkeys(
        item for wanted in reversed(list(PROFILES.values())) for item in wanted
    )
    for argument in arguments:
        marks = ("●" if argument in wanted else "" for wanted in PROFILES.values())
        yield markdown.code(f"{argument.name}={argument.value}"), *marks, markdown.prose(argument.source)


def _harmful() -> Iterator[tuple[str, ...]]:
    for harmful in HARMFUL:
        word = f"{harmful.name}={harmful.values[0] if harmful.values else '...'}"
        yield markdown.code(word), markdown.prose(harmful.why), markdown.prose(harmful.right)
