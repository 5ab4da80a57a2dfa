# SPDX-License-Identifier: Apache-2.0
"""What the role nic refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from fleet.hardware.cpus import CpuListError, cores
from fleet.model.rules import Refusal
from fleet.model.view import View
from roles.nic.filter_plugins.nic_plan import DIRECTIVES

# What no driver takes. IPv6 needs packets of 1280 bytes (RFC 8200, 5), and no card of today has more than 9978.
RANGES = {
    "mtu": (1280, 9978),
    "channels": (1, 1024),
    "rx_ring": (1, 65536),
    "tx_ring": (1, 65536),
    "rx_usecs": (0, 100_000),
    "tx_usecs": (0, 100_000),
}
FIRMWARE = re.compile(r"\d+(\.\w+)*")
# As words of ethtool -N: no quotes, and no place of its own, which the list gives.
FILTER = re.compile(r"flow-type [a-z0-9]+( [a-z0-9-]+ [A-Za-z0-9.:/-]+)+")
QUEUE = re.compile(r"\baction (\d+)\b")


def nic_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; network ports and CPUs count here.
        fleet: not asked.
    """
    nics = hardware.get("nics") or ()
    yield from _ports(nics)
    for use, wanted in settings["nic_uses"].items():
        # The defaults describe every use: what this host lacks CPUs for may be meant for another one.
        own = any(nic.get("use") == use for nic in nics)
        if isinstance(wanted, Mapping):
            yield from _use(f"nic_uses.{use}", wanted, _cpus(hardware) if own else 0)
    for position, name in enumerate(settings["nic_optional"]):
        if name not in DIRECTIVES:
            near = get_close_matches(name, DIRECTIVES, n=1)
            right = f"did you mean {near[0]}?" if near else f"they are {', '.join(DIRECTIVES)}"
            yield Refusal(f"nic_optional.{position}", f"there is no setting {name!r} of a port", right)


def _cpus(hardware: Mapping[str, Any]) -> int:
    try:
        return sum(len(core) for core in cores(hardware.get("cpu") or {}))
    except CpuListError:
        return 0  # the check of CPU lists reports it


def _ports(nics: Any) -> Iterator[Refusal]:
    """Yield ports that only an address tells apart and that have none."""
    alike = Counter(str(nic.get("pci_id")).lower() for nic in nics if not nic.get("pci_slot"))
    for position, nic in enumerate(nics):
        identity = str(nic.get("pci_id")).lower()
        if not nic.get("pci_slot") and alike[identity] > 1:
            wrong = f"{alike[identity]} ports have pci_id {identity} and no pci_slot, which tells them apart"
            yield Refusal(f"hardware.nics.{position}", wrong, "give pci_slot as `lspci -D` prints it")


def _use(key: str, wanted: Mapping[str, Any], cpus: int) -> Iterator[Refusal]:
    for name, (least, most) in RANGES.items():
        value = wanted.get(name)
        if isinstance(value, int) and not least <= value <= most:
            yield Refusal(f"{key}.{name}", f"{value} is out of range", f"write a number from {least} to {most}")
    channels = wanted.get("channels")
    if isinstance(channels, int) and 0 < cpus < channels <= RANGES["channels"][1]:
        wrong = f"{channels} queues are more than the {cpus} CPUs (hardware.cpu)"
        yield Refusal(f"{key}.channels", wrong, f"write {cpus} at most")
    firmware = wanted.get("firmware")
    if firmware and not FIRMWARE.fullmatch(str(firmware)):
        right = "write its number as `ethtool -i` prints it, such as 9.20"
        yield Refusal(f"{key}.firmware", f"{firmware!r} is no version", right)
    for delay, adaptive in (("rx_usecs", "adaptive_rx"), ("tx_usecs", "adaptive_tx")):
        if wanted.get(adaptive) and wanted.get(delay):
            wrong = f"is {wanted[delay]}, and {adaptive} lets the driver choose another delay"
            yield Refusal(f"{key}.{delay}", wrong, f"leave it out, or write {adaptive}: false")
    yield from _filters(key, wanted, channels)


def _filters(key: str, wanted: Mapping[str, Any], channels: Any) -> Iterator[Refusal]:
    filters = wanted.get("filters") or ()
    if filters and wanted.get("ntuple") is False:
        yield Refusal(f"{key}.filters", "are dropped by the driver with ntuple: false", "write ntuple: true")
    for position, words in enumerate(filters):
        where = f"{key}.filters.{position}"
        if " loc " in f" {words} ":
            yield Refusal(where, f"{words!r} has a place of its own (loc)", "leave it out: the list gives the place")
        elif not FILTER.fullmatch(str(words)):
            right = "write pairs of words as for `ethtool -N`, such as flow-type udp4 dst-port 5000 action 1"
            yield Refusal(where, f"{words!r} is no filter", right)
        elif isinstance(channels, int) and any(int(queue) >= channels for queue in QUEUE.findall(words)):
            wrong = f"{words!r} steers to a queue beyond channels: {channels}"
            yield Refusal(where, wrong, f"the queues are 0 to {channels - 1}")
