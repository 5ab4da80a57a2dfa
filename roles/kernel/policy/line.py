# SPDX-License-Identifier: Apache-2.0
"""The kernel command line of a host: what profile, CPU sets and huge pages ask for, each argument with its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fleet.model.rules import declarations
from fleet.model.view import View
from roles.kernel.module_utils.kernel_words import GENERIC, PAGE_KIB

ISOLATION = "isolation"
POLICY = "kernel_arguments"  # the owner of arguments that no role declares


@dataclass(frozen=True)
class Argument:
    """One argument of a profile.

    Attributes:
        name: the kernel's parameter.
        value: its value; {isolated} and {housekeeping} stand for CPU lists.
        source: who says so, and why.
        needs: `isolation`: only when CPUs are isolated; `generic`: not on a realtime kernel, which lacks it.
    """

    name: str
    value: str
    source: str
    needs: str = ""


PARAMETERS = "kernel-parameters.txt"
TUNED = "TuneD 2.28 network-latency"

_ISOLATION = (
    Argument(
        "isolcpus",
        "managed_irq,domain,{isolated}",
        f"{PARAMETERS}, TuneD 2.28 realtime: no balancing onto these CPUs; managed_irq keeps NVMe queues away too",
        ISOLATION,
    ),
    Argument(
        "nohz_full",
        "{isolated}",
        f"{PARAMETERS}, timers/no_hz.rst: no tick while one thread runs",
        ISOLATION,
    ),
    Argument(
        "rcu_nocbs",
        "{isolated}",
        f"{PARAMETERS}: RCU callbacks run elsewhere (nohz_full implies it; written so that both lists can be compared)",
        ISOLATION,
    ),
    Argument(
        "irqaffinity",
        "{housekeeping}",
        f"{PARAMETERS}: where interrupts go by default, before drivers load",
        ISOLATION,
    ),
)
_SKEW = Argument("skew_tick", "1", f"{TUNED}: ticks of the CPUs do not meet at one lock")
_RCU = Argument(
    "rcupdate.rcu_normal_after_boot", "1", f"{TUNED}: no expedited grace periods, which interrupt every CPU"
)
_THP_NEVER = Argument(
    "transparent_hugepage",
    "never",
    f"{TUNED}, Redis latency docs: no stall while pages are collapsed",
    GENERIC,
)
_THP_MADVISE = Argument(
    "transparent_hugepage",
    "madvise",
    f"{PARAMETERS}, mm/transhuge.rst: only for programs that ask, such as model servers",
    GENERIC,
)
# tsc=reliable (TuneD) also drops the checks of the clock at boot; nowatchdog drops only the interruptions afterwards.
# rcutree.nohz_full_patience_delay, which TuneD sets too, is unknown to Ubuntu 24.04's 6.8.
_LATENCY = (
    *_ISOLATION,
    _SKEW,
    _RCU,
    Argument("tsc", "nowatchdog", f"{PARAMETERS}: no clocksource watchdog, the option for strict latency requirements"),
    Argument(
        "preempt",
        "full",
        f"{PARAMETERS}: preemption inside the kernel (PREEMPT_DYNAMIC); a realtime kernel always does",
        GENERIC,
    ),
    _THP_NEVER,
    Argument("pcie_aspm.policy", "performance", f"{PARAMETERS}: no link power saving; pcie_aspm=off would not do it"),
)

# trading and hft want the same of the boot line; what they differ in is set at run time.
PROFILES: Mapping[str, tuple[Argument, ...]] = MappingProxyType(
    {
        "none": (),
        "cloud": (_SKEW, _RCU, _THP_MADVISE),
        "inference": (_THP_MADVISE,),
        "trading": _LATENCY,
        "hft": _LATENCY,
    }
)
HUGEPAGES = f"{PARAMETERS}, hugetlbpage.rst: taken at boot, before memory is fragmented (kernel_hugepages)"


@dataclass(frozen=True)
class Options:
    """What decides the line beside the profile and the CPU sets.

    Attributes:
        hugepages: entries of size, count and perhaps node.
        transparent_hugepages: overrides the profile's value when not empty.
        arguments: owner (a role, or `kernel_arguments` for the policy) -> further arguments.
        flavour: generic or realtime.
        version: the pinned release, "" for the newest.
    """

    hugepages: Sequence[Mapping[str, Any]] = ()
    transparent_hugepages: str = ""
    arguments: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    flavour: str = GENERIC
    version: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any], fleet: View) -> Options:
        """Take the options from the variables of a host and the declarations of its roles.

        Args:
            settings: the variables, with inventory_hostname.
            fleet: all hosts.
        """
        host = str(settings["inventory_hostname"])
        declared = declarations(fleet, "kernel_arguments", [host]).get(host, {}) | {POLICY: settings.get(POLICY)}
        return cls(
            hugepages=settings.get("kernel_hugepages") or (),
            transparent_hugepages=settings.get("kernel_transparent_hugepages") or "",
            arguments={owner: words for owner, words in declared.items() if isinstance(words, (list, tuple))},
            flavour=settings.get("kernel_flavour") or GENERIC,
            version=settings.get("kernel_version") or "",
        )

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Options:
        """Take the options from a dictionary; an unknown key is a TypeError."""
        return cls(**{str(key): value for key, value in options.items() if value is not None})


@dataclass(frozen=True)
class Chosen:
    """One argument of the line with its source."""

    text: str
    source: str


def line(profile: str, sets: Mapping[str, Any], options: Options) -> list[Chosen]:
    """Return the arguments of a host in the order of the line.

    Args:
        profile: a key of PROFILES.
        sets: the host's `cpu_sets`.
        options: the rest.

    Raises:
        ValueError: there is no such profile.
    """
    if profile not in PROFILES:
        raise ValueError(f'kernel_profile "{profile}" does not exist; write one of {", ".join(PROFILES)}')
    extra = [
        Chosen(str(argument), owner if owner == POLICY else f"role {owner}")
        for owner, arguments in options.arguments.items()
        for argument in arguments or ()
    ]
    return [*_of_profile(PROFILES[profile], sets, options), *_hugepages(options.hugepages), *extra]


def _of_profile(wanted: Sequence[Argument], sets: Mapping[str, Any], options: Options) -> Iterator[Chosen]:
    huge = options.transparent_hugepages
    for argument in wanted:
        if argument.needs == ISOLATION and not sets.get("isolated"):
            continue
        if argument.needs == GENERIC and options.flavour != GENERIC:
            continue
        if argument.name == "transparent_hugepage" and huge:
            continue
        value = argument.value.format(isolated=sets.get("isolated"), housekeeping=sets.get("housekeeping"))
        yield Chosen(f"{argument.name}={value}", argument.source)
    # mm/Kconfig: a realtime kernel has no transparent huge pages.
    if huge and options.flavour == GENERIC:
        yield Chosen(f"transparent_hugepage={huge}", "kernel_transparent_hugepages")


def _hugepages(entries: Sequence[Mapping[str, Any]]) -> Iterator[Chosen]:
    for size in PAGE_KIB:
        wanted = [entry for entry in entries if str(entry["size"]) == size]
        if not wanted:
            continue
        if size == "2M":
            yield Chosen(f"default_hugepagesz={size}", HUGEPAGES)
        yield Chosen(f"hugepagesz={size}", HUGEPAGES)
        nodes = sorted((entry for entry in wanted if entry.get("node") is not None), key=lambda entry: entry["node"])
        counts = [f"{entry['node']}:{entry['count']}" for entry in nodes] or [str(wanted[0]["count"])]
        yield Chosen(f"hugepages={','.join(counts)}", HUGEPAGES)
