# SPDX-License-Identifier: Apache-2.0
"""Compare what the firmware has set with what the inventory wants, and say what to change and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from roles.firmware_check.module_utils.firmware_readings import (
    LINKS,
    READERS,
    WIDTHS,
    Reading,
    link,
    resizable_bar,
    unknown,
)

DOCUMENTATION = r"""
name: firmware_report
short_description: Judge a host's firmware settings against the inventory
description:
  - Takes what the module C(firmware_facts) read and returns each setting as right, wrong, unknown or information.
  - A wrong one comes with the menu path, an unknown one with the reason. Only what the inventory names is judged.
options:
  _input:
    description: C(firmware) of the module's result.
    type: dict
    required: true
  wanted:
    description: Item -> wanted value, the role's C(firmware_check_wanted).
    type: dict
    required: true
  hardware:
    description: The host's C(hardware).
    type: dict
    required: true
  menu_paths:
    description: Item -> menu path of this board, in place of the generic one.
    type: dict
    default: {}
  host:
    description: Name of the host.
    type: str
    required: true
"""

EXAMPLES = r"""
report: "{{ facts.firmware | firmware_report({'smt': true}, hardware, {}, inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: A dictionary with place, counts, items, wrong (lines), summary (line) and the text markdown.
  type: dict
"""

SWITCHES = (
    "smt",
    "efficiency_cores",
    "deep_c_states",
    "speed_shift",
    "turbo",
    "resizable_bar",
    "above_4g",
    "iommu",
    "secure_boot",
)
ITEMS = (*SWITCHES, "aspm", "memory_mts", "microcode_minimum", *LINKS)
# aspm.c: the policies by the kernel's names.
POLICIES = ("default", "performance", "powersave", "powersupersave")
SLOT = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
VERDICTS = ("right", "wrong", "unknown", "information")
ORDER = ("wrong", "unknown", "right", "information")  # on the page
# Wording of AMI's and the CPU makers' reference firmware; vendors rename and move their menus.
CPU_MENU = "Advanced > CPU Configuration"
AMD_MENU = "Advanced > AMD CBS"
MENUS: dict[str, dict[str, str]] = {
    "GenuineIntel": {
        "smt": f"{CPU_MENU} > Hyper-Threading",
        "efficiency_cores": f"{CPU_MENU} > Active Efficient Cores",
        "deep_c_states": f"{CPU_MENU} > CPU Power Management > C-States and Package C-State Limit",
        "speed_shift": f"{CPU_MENU} > CPU Power Management > Intel Speed Shift Technology",
        "turbo": f"{CPU_MENU} > CPU Power Management > Turbo Mode",
        "iommu": "Advanced > System Agent Configuration > VT-d",
        "memory_mts": "Overclocking > Memory > Memory Profile (XMP)",
    },
    "AuthenticAMD": {
        "smt": f"{AMD_MENU} > CPU Common Options > SMT Control",
        "deep_c_states": f"{AMD_MENU} > CPU Common Options > Global C-state Control",
        "speed_shift": f"{AMD_MENU} > SMU Common Options > CPPC",
        "turbo": f"{AMD_MENU} > CPU Common Options > Core Performance Boost",
        "iommu": f"{AMD_MENU} > NBIO Common Options > IOMMU",
        "memory_mts": "Overclocking > Memory > Memory Profile (EXPO, XMP or DOCP)",
    },
    "": {
        "aspm": "Advanced > PCI Express Configuration > ASPM; without a menu, the kernel argument pcie_aspm.policy",
        "resizable_bar": "Advanced > PCI Subsystem Settings > Re-Size BAR Support (needs Above 4G Decoding, no CSM)",
        "above_4g": "Advanced > PCI Subsystem Settings > Above 4G Decoding",
        "link_width": "Advanced > PCI Express Configuration > bifurcation of the slot; or use another slot",
        "link_speed_gts": "Advanced > PCI Express Configuration > link speed of the slot",
        "secure_boot": "Security > Secure Boot",
        "microcode_minimum": "no menu: update the firmware, or install the package of microcode and reboot",
    },
}
NO_MENU = "no menu known for this processor"


def _place(facts: Mapping[str, Any]) -> str:
    if facts["container"]:
        return "container"
    return "virtual machine" if "hypervisor" in facts["cpu"]["flags"] else "machine"


def wanted_value(item: str, value: Any) -> Any:
    """Return a wanted value as it is compared; YAML reads on as true and 0x10 as 16.

    Raises:
        ValueError: the value cannot be wanted of the item; the message is what would be right.
    """
    if item in SWITCHES:
        words = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
        if str(value).lower() not in words:
            raise ValueError("write on or off")
        return words[str(value).lower()]
    if item == "aspm":
        if value not in POLICIES:
            raise ValueError(f"write one of {', '.join(POLICIES)}")
        return value
    if item in LINKS:
        return _wanted_links(item, value)
    right = "write a revision such as 0x43b" if item == "microcode_minimum" else "write a number of MT/s such as 5600"
    try:
        number = int(value, 0) if isinstance(value, str) else value
    except ValueError:
        number = 0
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(right)
    return number


def _wanted_links(item: str, value: Any) -> dict[str, float]:
    right = "write PCI address: lanes, such as 0000:01:00.0: 16"
    if item == "link_speed_gts":
        right = "write PCI address: GT/s, such as 0000:01:00.0: 16"
    if not isinstance(value, Mapping) or not all(isinstance(slot, str) and SLOT.fullmatch(slot) for slot in value):
        raise ValueError(right)
    for number in value.values():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or number <= 0:
            raise ValueError(right)
        if item == "link_width" and number not in WIDTHS:
            raise ValueError(f"a link has {', '.join(str(width) for width in WIDTHS)} lanes")
    return dict(value)


def _holds(item: str, wanted: Any, value: Any) -> bool:
    """Tell whether a value is the wanted one."""
    if item == "aspm":
        return wanted in value
    if item == "memory_mts":
        return bool(value == {wanted})
    if item == "microcode_minimum":
        return bool(value >= wanted)
    if item == "link_speed_gts":
        return bool(value >= wanted)
    return bool(value == wanted)


def _said(item: str, wanted: Any) -> str:
    """Return a wanted value in words."""
    if isinstance(wanted, bool):
        return "on" if wanted else "off"
    units = {"memory_mts": "{} MT/s", "microcode_minimum": "{:#x} or newer", "link_width": "x{}"}
    return units.get(item, "{} GT/s" if item in LINKS else "{}").format(wanted)


def _judged(item: str, name: str, wanted: Any, reading: Reading, menu: str) -> dict[str, str]:
    """Return one line of the report."""
    if wanted is None:
        verdict = "information"
    elif reading.value is None:
        verdict = "unknown"
    else:
        verdict = "right" if _holds(item, wanted, reading.value) else "wrong"
    return {
        "item": name,
        "verdict": verdict,
        "wanted": "" if wanted is None else _said(item, wanted),
        "found": reading.found if reading.value is not None else f"not known: {reading.found}",
        "change": (reading.remedy or menu) if verdict == "wrong" else "",
    }


def _rows(
    facts: Mapping[str, Any], wanted: Mapping[str, Any], hardware: Mapping[str, Any], menu_paths: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Yield the report's lines: the wanted items and whatever else the host shows."""
    place = _place(facts)
    menus = MENUS[""] | MENUS.get(facts["cpu"]["vendor"], {}) | dict(menu_paths)
    names = {
        device["pci_slot"]: str(device["model"])
        for kind in ("gpus", "nics")
        for device in hardware.get(kind) or ()
        if device.get("pci_slot")
    }
    for item in (*SWITCHES, "aspm", "memory_mts", "microcode_minimum"):
        reading = resizable_bar(facts, hardware) if item == "resizable_bar" else READERS[item](facts)
        yield _judged(item, item, wanted.get(item), _of_machine(place, item, reading), menus.get(item, NO_MENU))
    for item in LINKS:
        slots = wanted.get(item) or {}
        for slot in sorted({*facts["pci"], *names, *slots}):
            reading = _of_machine(place, item, link(facts, item, slot, slots.get(slot)))
            name = f"{item} {slot}" + (f" ({names[slot]})" if slot in names else "")
            yield _judged(item, name, slots.get(slot), reading, menus[item])


def _of_machine(place: str, item: str, reading: Reading) -> Reading:
    """Return a reading, or unknown where what was read is another machine's; Secure Boot is a virtual machine's own."""
    if place == "container":
        return unknown("container: the firmware is that of the machine underneath")
    if place == "virtual machine" and item != "secure_boot":
        return unknown("virtual machine: the hypervisor decides what it sees")
    return reading


def _markdown(host: str, facts: Mapping[str, Any], items: Sequence[Mapping[str, str]]) -> str:
    """Return the page of a host."""
    board = " ".join(word for word in facts["board"].values() if word)
    rows = [
        f"| {' | '.join(str(row[key]).replace('|', '/') for key in ('item', 'verdict', 'wanted', 'found', 'change'))} |"
        for row in sorted(items, key=lambda row: ORDER.index(row["verdict"]))
    ]
    return "\n".join(
        [
            f"# Firmware of {host}",
            "",
            f"{_place(facts).capitalize()}, {facts['cpu']['model'] or 'processor not named'}. {board}".rstrip(),
            "",
            "| Item | Verdict | Wanted | Found | Change it at |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "Menu names vary by vendor and firmware version: `firmware_check_menu_paths` sets those of this board.",
            "",
        ]
    )


def firmware_report(
    facts: Mapping[str, Any],
    wanted: Mapping[str, Any],
    hardware: Mapping[str, Any],
    menu_paths: Mapping[str, str],
    host: str,
) -> dict[str, Any]:
    """Judge what a host's firmware has set.

    Args:
        facts: what the module firmware_facts read.
        wanted: item -> wanted value; others are reported without a verdict.
        hardware: the host's hardware by the inventory.
        menu_paths: item -> menu path of this board.
        host: name of the host.

    Returns:
        `place`, `counts` by verdict, `items`, `wrong` (a line each), `summary` (a line) and the text `markdown`.
    """
    values = {item: wanted_value(item, value) for item, value in wanted.items()}
    items = list(_rows(facts, values, hardware, menu_paths))
    counts = {verdict: sum(row["verdict"] == verdict for row in items) for verdict in VERDICTS}
    return {
        "place": _place(facts),
        "counts": counts,
        "items": items,
        "wrong": [
            f"{row['item']}: wanted {row['wanted']}, found {row['found']}; {row['change']}"
            for row in items
            if row["verdict"] == "wrong"
        ],
        "summary": f"firmware of {host}: {', '.join(f'{number} {verdict}' for verdict, number in counts.items())}",
        "markdown": _markdown(host, facts, items),
    }


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"firmware_report": firmware_report}
