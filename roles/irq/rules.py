# SPDX-License-Identifier: Apache-2.0
"""What the role irq refuses of its variables, without a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from fleet.hardware.cpus import CpuListError, compose, cores, misfit, parse
from fleet.hardware.isolation import CpuSets
from fleet.model.cpu_sets import cpu_sets
from fleet.model.rules import Refusal
from fleet.model.view import View

KINDS = ("driver", "use")
USES = ("market", "lab", "lan", "uplink")


def irq_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; CPUs and network ports count here.
        fleet: not asked.
    """
    try:
        known = cores(hardware["cpu"])
    except (CpuListError, KeyError):
        return  # another check reports what is wrong with the description
    wrong = misfit(settings["irq_cpus"], known)
    if wrong:
        yield Refusal("irq_cpus", *wrong)
    else:
        yield from _isolated(parse(settings["irq_cpus"]), cpu_sets(settings, hardware))
    seen: set[str] = set()
    for position, rule in enumerate(settings["irq_devices"]):
        key, device = f"irq_devices.{position}", str(rule["device"])
        yield from _device(f"{key}.device", device, hardware.get("nics") or ())
        if device in seen:
            yield Refusal(f"{key}.device", f"{device} is here twice, only the first would count", "keep one of them")
        seen.add(device)
        yield from _cpus(key, rule.get("cpus") or "", settings["irq_cpus"], frozenset().union(*known))


def _isolated(chosen: frozenset[int], sets: CpuSets) -> Iterator[Refusal]:
    isolated = parse(sets.isolated)
    right = f'interrupts belong on cpu_sets.irq "{sets.irq}"'
    if chosen & isolated:
        wrong = f'"{compose(chosen)}" takes {compose(chosen & isolated)} of the isolated CPUs'
        yield Refusal("irq_cpus", wrong, f"{right}; one device may have isolated CPUs, by a rule in irq_devices")
    if isolated and not chosen:
        yield Refusal("irq_cpus", f"is empty, and cpu_isolation isolates {sets.isolated}", right)


def _device(key: str, device: str, nics: Any) -> Iterator[Refusal]:
    kind, colon, value = device.partition(":")
    # The name of an interrupt may have a colon of its own, such as i40e-0000:02:00.0:misc.
    near = get_close_matches(kind, KINDS, n=1) if colon else []
    if not device.strip() or device.isdecimal():
        wrong = f"{device!r} is no device: the next boot may give its number to another one"
        yield Refusal(key, wrong, "write a name from /proc/interrupts, driver:<name> or use:<use>")
    elif near and kind not in KINDS:
        yield Refusal(key, f"{device} has an unknown kind {kind}", f"did you mean {near[0]}:{value}?")
    elif kind == "use" and colon and value not in USES:
        near = get_close_matches(value, USES, n=1)
        right = f"did you mean use:{near[0]}?" if near else f"the uses are {', '.join(USES)}"
        yield Refusal(key, f"there is no use {value!r} of a port", right)
    elif kind == "use" and colon and value not in (uses := sorted({str(nic.get("use")) for nic in nics})):
        wrong = f"hardware.nics of this host has no port for the use {value}"
        yield Refusal(key, wrong, f"it has {', '.join(uses) or 'no port'}")
    elif kind == "driver" and colon and not value.strip():
        yield Refusal(key, "names no driver", "write its name, as `lspci -k` has it, behind driver:")


def _cpus(key: str, text: str, others: str, known: frozenset[int]) -> Iterator[Refusal]:
    """Yield what is wrong with the CPUs of one rule; single threads of a core are allowed here, unlike elsewhere."""
    try:
        chosen = parse(text)
    except CpuListError as error:
        yield Refusal(f"{key}.cpus", str(error), 'write a Linux CPU list such as "0-3,8"')
        return
    if chosen - known:
        wrong = f"CPU {compose(chosen - known)} is not in hardware.cpu"
        yield Refusal(f"{key}.cpus", wrong, f"the host has {compose(known) or 'no CPUs'}")
    if not text.strip() and not others.strip():
        yield Refusal(key, "has no CPUs, and irq_cpus names none", "give it cpus")
