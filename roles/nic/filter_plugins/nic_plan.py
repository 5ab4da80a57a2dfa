# SPDX-License-Identifier: Apache-2.0
"""Find the ports that the inventory names on a host, say what is wrong, and render what makes their settings last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

DOCUMENTATION = r"""
name: nic_plan
short_description: Match network ports with the machine, and plan their settings
description:
  - Takes what nic_ethtool.py saw on a host and returns problems (lines), ports (the content of /etc/fleet/nic.json),
    links (path and content of the .link files) and report (a line a port).
  - A port is found by its PCI slot, else by its PCI id, never by a name that another boot may give to another port.
options:
  _input:
    description: What nic_ethtool.py printed, parsed.
    type: list
    elements: dict
    required: true
  nics: {description: The list hardware.nics., type: list, elements: dict, required: true}
  uses: {description: Settings by use., type: dict, required: true}
  optional: {description: Settings that a driver of the host may lack., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
plan: "{{ __nic_seen_result.stdout | from_json | nic_plan(hardware.nics, nic_uses, nic_optional) }}"
"""

RETURN = r"""
_value:
  description: A dictionary with problems, ports, links and report.
  type: dict
"""

FOLDER = "/etc/systemd/network"
# Sorts before netplan's 10-netplan-*: the first file that matches a port is the only one that counts (systemd.link(5)).
PREFIX = "05-fleet-"
# So the file keeps the name that the port has: it repeats what the file says that was in effect before it.
NAMING = {
    "NamePolicy": "keep kernel database onboard slot path",
    "AlternativeNamesPolicy": "database onboard slot path",
    "MACAddressPolicy": "persistent",
}
CARRIED = (*NAMING, "Name", "AlternativeName", "MACAddress", "WakeOnLan")
DIRECTIVES = {
    "mtu": "MTUBytes",
    "channels": "CombinedChannels",
    "rx_ring": "RxBufferSize",
    "tx_ring": "TxBufferSize",
    "adaptive_rx": "UseAdaptiveRxCoalesce",
    "adaptive_tx": "UseAdaptiveTxCoalesce",
    "rx_usecs": "RxCoalesceSec",
    "tx_usecs": "TxCoalesceSec",
    "ntuple": "NTupleFilter",
    "gro": "GenericReceiveOffload",
    "gso": "GenericSegmentationOffload",
    "lro": "LargeReceiveOffload",
    "rx": "ReceiveChecksumOffload",
    "rxvlan": "ReceiveVLANCTAGHardwareAcceleration",
    "tso": "TCPSegmentationOffload",
    "txvlan": "TransmitVLANCTAGHardwareAcceleration",
}
NUMBERS = ("mtu", "channels", "rx_ring", "tx_ring")
TIMES = ("rx_usecs", "tx_usecs")

Nic = Mapping[str, Any]


def _name(nic: Nic) -> str:
    where = nic.get("pci_slot") or nic["pci_id"]
    return f"{nic['model']} ({nic['use']}, {where})"


def _present(seen: Sequence[Nic]) -> str:
    return ", ".join(f"{port['interface']} {port['slot']} {port['id']} {port['driver']}" for port in seen) or "none"


def _find(nic: Nic, seen: Sequence[Nic], taken: Sequence[str]) -> Nic | str:
    """Return the port that an entry of hardware.nics means, or what is wrong."""
    slot, identity = str(nic.get("pci_slot") or "").lower(), str(nic["pci_id"]).lower()
    if slot:
        found = [port for port in seen if port["slot"] == slot]
    else:
        found = [port for port in seen if port["id"] == identity and port["slot"] not in taken]
    if not found:
        return f"hardware.nics: {_name(nic)} is not in this machine; present: {_present(seen)}"
    if len(found) > 1:
        return f"hardware.nics: {_name(nic)} may be any of {_present(found)}: give pci_slot"
    port = found[0]
    if port["id"] != identity:
        return f"hardware.nics: {_name(nic)} has pci_id {identity}, in that slot is {port['id']} ({port['interface']})"
    if port["driver"] != nic["driver"]:
        return (
            f"hardware.nics: {_name(nic)} wants driver {nic['driver']}, {port['interface']} is driven by"
            f" {port['driver'] or 'none'}"
        )
    return port


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version's first word: "9.20 0x8000d8c5 0.0.0" is (9, 20)."""
    return tuple(int(number) for number in re.findall(r"\d+", (text.split() or [""])[0]))


def _firmware_problem(port: Nic, use: str, minimum: str) -> str | None:
    if not minimum or version(port["firmware"]) >= version(minimum):
        return None
    has = f"firmware {port['firmware']}" if version(port["firmware"]) else "no firmware version to tell"
    return f"nic_uses.{use}.firmware: {port['interface']} has {has}, wanted {minimum} or later: update the card"


def _wanted(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return the settings of a use as numbers, by the names that nic_ethtool.py has for them."""
    flat = {key: value for key, value in settings.items() if key not in {"offloads", "filters", "firmware"}}
    flat |= settings.get("offloads") or {}
    return {key: int(value) for key, value in flat.items() if value is not None}


def _offer(settings: Mapping[str, Mapping[str, int]]) -> str:
    words = []
    for key, value in sorted(settings.items()):
        limits = (
            f" (fixed at {value['max']})" if "min" in value else f" (up to {value['max']})" if "max" in value else ""
        )
        words.append(f"{key}{limits}")
    return ", ".join(words)


def _unsupported(key: str, want: int, offered: Mapping[str, Mapping[str, int]]) -> str | None:
    """Say why a driver cannot take a value; what is off cannot be missed."""
    offer = offered.get(key)
    if offer is None:
        absent_is_off = want == 0 and key not in TIMES
        return None if absent_is_off else f"has no {key}"
    if want > offer.get("max", want) or want < offer.get("min", want):
        limit = f"keeps {key} at {offer['max']}" if "min" in offer else f"offers {key} up to {offer['max']}"
        return f"{limit}, not {want}"
    return None


def _supported(
    port: Nic, use: str, settings: Mapping[str, Any], optional: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    """Return the settings that a port can take, and a line on those that it cannot and that are not optional."""
    taken: dict[str, int] = {}
    lacking: dict[str, str] = {}
    for key, want in _wanted(settings).items():
        lacks = _unsupported(key, want, port["settings"])
        if lacks and key not in optional:
            lacking[key] = lacks
        elif not lacks and key in port["settings"]:
            taken[key] = want
    if not lacking:
        return taken, []
    who = f"nic_uses.{use}: {port['interface']} ({port['driver']})"
    offer = _offer(port["settings"])
    names = ", ".join(lacking)
    return taken, [f"{who} {', '.join(lacking.values())}; it offers {offer}: change {names}, or add to nic_optional"]


def _link_lines(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in text.splitlines():
        words = line.strip()
        if words.startswith("["):
            section = words
        elif section == "[Link]" and words and words[0] not in "#;":
            key, _, value = words.partition("=")
            yield key.strip(), value.strip()


def _directive(key: str, value: int) -> str:
    if key in NUMBERS:
        return f"{DIRECTIVES[key]}={value}"
    if key in TIMES:
        return f"{DIRECTIVES[key]}={value}us"
    return f"{DIRECTIVES[key]}={str(bool(value)).lower()}"


def _link(port: Nic, use: str, settings: Mapping[str, int]) -> dict[str, str]:
    """Return path and content of a port's .link file."""
    carried = {key: value for key, value in _link_lines(port["link_text"]) if key in CARRIED}
    naming = carried if {"Name", "NamePolicy"} & carried.keys() else NAMING | carried
    lines = [
        f"# Written by Ansible, role nic: {use}.",
        "[Match]",
        f"Path={port['path']}",
        "",
        "[Link]",
        "# As before: only the first file that matches counts, and this one must not rename the port.",
        *(f"{key}={naming[key]}" for key in CARRIED if key in naming),
        "",
        *(_directive(key, settings[key]) for key in DIRECTIVES if key in settings),
    ]
    name = f"{PREFIX}{use}-{re.sub('[^0-9a-f]', '-', port['slot'])}.link"
    return {"path": f"{FOLDER}/{name}", "content": "\n".join(lines) + "\n"}


def nic_plan(
    seen: Sequence[Nic], nics: Sequence[Nic], uses: Mapping[str, Mapping[str, Any]], optional: Sequence[str]
) -> dict[str, Any]:
    """Match the inventory with the machine and plan the settings.

    Args:
        seen: what nic_ethtool.py saw.
        nics: `hardware.nics`.
        uses: `nic_uses`.
        optional: `nic_optional`.
    """
    plan: dict[str, Any] = {"problems": [], "ports": [], "links": [], "report": []}
    taken: list[str] = []
    for nic in sorted(nics, key=lambda nic: not nic.get("pci_slot")):
        port = _find(nic, seen, taken)
        if isinstance(port, str):
            plan["problems"].append(port)
            continue
        use, settings = str(nic["use"]), uses.get(nic["use"]) or {}
        if port["slot"] in taken:
            plan["problems"].append(f"hardware.nics: {_name(nic)} is listed twice")
        taken.append(port["slot"])
        supported, problems = _supported(port, use, settings, optional)
        before = port["link_file"].rpartition("/")[2]
        if supported and before and before < PREFIX:
            problems.append(f"{port['link_file']} sorts before {PREFIX}*.link and would win: rename or remove it")
        old = _firmware_problem(port, use, str(settings.get("firmware") or ""))
        plan["problems"] += [*problems, *([old] if old else [])]
        plan["report"].append(f"{use}: {port['interface']} {port['driver']} firmware {port['firmware'] or 'unknown'}")
        filters = list(settings.get("filters") or ())
        if supported or filters:
            plan["ports"].append({"slot": port["slot"], "use": use, "settings": supported, "filters": filters})
        if supported:
            plan["links"].append(_link(port, use, supported))
    return plan


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"nic_plan": nic_plan}
