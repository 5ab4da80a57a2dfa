# SPDX-License-Identifier: Apache-2.0
"""Each firmware setting as a host's kernel shows it, from what the module `firmware_facts` read; no judgement here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LINKS = {"link_width": "current_link_width", "link_speed_gts": "current_link_speed"}
# Lanes of a link by the PCI Express specification; the kernel shows 0, 63 or 255 where there is none.
WIDTHS = (1, 2, 4, 8, 12, 16, 32)


@dataclass(frozen=True)
class Reading:
    """One item as the host shows it.

    Attributes:
        value: what to compare; None is unknown.
        found: the same in words, or why it is unknown.
        remedy: what to do where no menu of the firmware helps.
    """

    value: Any
    found: str
    remedy: str = ""


def unknown(why: str) -> Reading:
    """Return a reading that says why there is none."""
    return Reading(None, why)


def _word(value: bool) -> str:
    return "on" if value else "off"


def _denied(facts: Mapping[str, Any], path: str) -> bool:
    return any(denied.startswith(path) for denied in facts["denied"])


def _smt(facts: Mapping[str, Any]) -> Reading:
    """ABI/testing/sysfs-devices-system-cpu: control is on, off, forceoff, notsupported or notimplemented."""
    control = facts["smt"]
    if control == "on":
        return Reading(True, "on")
    if control in {"off", "forceoff"}:
        remedy = "the firmware has it on: remove the kernel argument nosmt or what writes smt/control"
        return Reading(False, f"off by the operating system ({control})", remedy)
    if control == "notsupported":
        return Reading(False, "off, or the processor has none")
    return unknown("the kernel does not say (smt/control)")


def _efficiency_cores(facts: Mapping[str, Any]) -> Reading:
    if facts["efficiency_cpus"]:
        return Reading(True, f"on: CPUs {facts['efficiency_cpus']}")
    if facts["cpu"]["hybrid"] and not facts["counters"]["cpu_core"]:
        return unknown("this kernel is too old to tell this processor's kinds of cores (no /sys/devices/cpu_core)")
    if facts["counters"]["cpu"] or facts["counters"]["cpu_core"]:
        return Reading(False, "off, or the processor has none")
    return unknown("the kernel has no performance counters that would tell the kinds of cores")


def _deep_c_states(facts: Mapping[str, Any]) -> Reading:
    """admin-guide/pm/cpuidle.rst: the states that the kernel may ask for, whatever it is held back to now."""
    driver, states = facts["idle_driver"], facts["idle_states"]
    if driver in {None, "none"} or not states:
        return unknown("the kernel runs without an idle driver")
    deep = [name for name in states if not re.fullmatch(r"POLL|C1E?(_ACPI)?", name)]
    limits = [word for word in facts["arguments"] if re.match(r"idle=|.*max_cstate=", word)]
    if not deep and limits:
        return unknown(f"the kernel argument {' '.join(limits)} hides them")
    # intel_idle knows its processors: the firmware's limit of the package's state is no part of the list.
    package = "; a limit of the package's state shows in turbostat only" if driver == "intel_idle" and deep else ""
    return Reading(bool(deep), f"{_word(bool(deep))}: {driver} has {' '.join(states)}{package}")


def _speed_shift(facts: Mapping[str, Any]) -> Reading:
    """admin-guide/pm/intel_pstate.rst (HWP) and admin-guide/acpi/cppc_sysfs.rst."""
    vendor, flags = facts["cpu"]["vendor"], facts["cpu"]["flags"]
    if vendor == "GenuineIntel":
        return Reading(
            "hwp" in flags, f"{_word('hwp' in flags)}: processor flag hwp {'set' if 'hwp' in flags else 'absent'}"
        )
    if vendor == "AuthenticAMD":
        has = facts["cppc"] or "cppc" in flags
        return Reading(has, f"{_word(has)}: CPPC")
    return unknown("only Intel and AMD processors are known")


def _turbo(facts: Mapping[str, Any]) -> Reading:
    """admin-guide/pm/intel_pstate.rst (no_turbo) and cpufreq.rst (boost); CPUID flag ida: turbo is there to be used."""
    if facts["no_turbo"] is not None:
        on = facts["no_turbo"] == "0"
        by_system = not on and "ida" in facts["cpu"]["flags"]
        remedy = "the firmware has it on: write 0 to intel_pstate/no_turbo"
        return Reading(on, f"{_word(on)}{' by the operating system' * by_system}", remedy if by_system else "")
    if facts["boost"] is not None:
        return Reading(facts["boost"] == "1", f"{_word(facts['boost'] == '1')} (cpufreq/boost)")
    return unknown("no frequency driver that says so (neither intel_pstate nor cpufreq/boost)")


def _gib(size: int) -> str:
    return f"{size / 2**30:g} GiB" if size >= 2**30 else f"{size / 2**20:g} MiB"


def resizable_bar(facts: Mapping[str, Any], hardware: Mapping[str, Any]) -> Reading:
    """ABI/testing/sysfs-bus-pci, resource: the largest BAR spans the memory; NVIDIA's is 256 MiB when off."""
    gpus = [gpu for gpu in hardware.get("gpus", ()) if gpu.get("pci_slot")]
    missing = [gpu["pci_slot"] for gpu in gpus if gpu["pci_slot"] not in facts["pci"]]
    if missing:
        return unknown(f"no PCI device at {', '.join(missing)}: correct pci_slot in hardware.gpus (lspci -D)")
    if not gpus:
        return unknown("hardware.gpus names no GPU with its pci_slot")
    sizes = {gpu["pci_slot"]: _largest(facts["pci"][gpu["pci_slot"]]) for gpu in gpus}
    value = all(sizes[gpu["pci_slot"]] >= int(gpu["vram_gib"]) * 2**30 for gpu in gpus)
    each = [f"{gpu['pci_slot']} shows {_gib(sizes[gpu['pci_slot']])} of {gpu['vram_gib']} GiB" for gpu in gpus]
    return Reading(value, f"{_word(value)}: {', '.join(each)}")


def _largest(device: Mapping[str, Any]) -> int:
    return max((end - start + 1 for start, end in device["bars"]), default=0)


def _above_4g(facts: Mapping[str, Any]) -> Reading:
    high = [slot for slot, device in facts["pci"].items() if any(start >= 2**32 for start, _ in device["bars"])]
    if high:
        return Reading(True, f"on: {high[0]} has memory above 4 GiB")
    if any(device["class"].startswith("0x03") and device["bars"] for device in facts["pci"].values()):
        return Reading(False, "off: no device has memory above 4 GiB")
    return unknown("no GPU that would need memory above 4 GiB")


def _aspm(facts: Mapping[str, Any]) -> Reading:
    """ABI/testing/sysfs-bus-pci, link: what is in force on the devices decides over the policy, where it is shown."""
    match = re.search(r"\[(\w+)\]", facts["aspm_policy"] or "")
    states = {
        slot: [name for name, on in device["power_states"].items() if on == "1"]
        for slot, device in facts["pci"].items()
        if device["power_states"]
    }
    saving = [f"{slot} {'+'.join(names)}" for slot, names in states.items() if names]
    if match is None and not states:
        return unknown("the kernel shows neither a policy nor the state of a link")
    values = {match[1]} if match else set()
    if states:
        values = values - {"performance"} if saving else values | {"performance"}
    in_force = f", in force: {', '.join(saving)}" if saving else ", in force on no link" if states else ""
    return Reading(values, f"policy {match[1] if match else 'not shown'}{in_force}")


def _iommu(facts: Mapping[str, Any]) -> Reading:
    """ABI/testing/sysfs-class-iommu; the firmware describes the units in the ACPI table DMAR (Intel) or IVRS (AMD)."""
    if facts["acpi_tables"] is None and not facts["iommus"]:
        return unknown("the kernel shows no ACPI tables")
    tables = [name for name in facts["acpi_tables"] or () if name in {"DMAR", "IVRS"}]
    used = f"the kernel uses {', '.join(facts['iommus'])}" if facts["iommus"] else "the kernel uses none"
    value = bool(tables or facts["iommus"])
    return Reading(value, f"{_word(value)}: ACPI table {tables[0] if tables else 'absent'}, {used}")


def _secure_boot(facts: Mapping[str, Any]) -> Reading:
    """UEFI specification, global variable SecureBoot: 1 is on."""
    if not facts["uefi"]:
        return Reading(False, "off: booted without UEFI")
    if facts["secure_boot"] is not None:
        return Reading(facts["secure_boot"] == 1, _word(facts["secure_boot"] == 1))
    if _denied(facts, "/sys/firmware/efi"):
        return unknown("only root may read it")
    if not facts["efi_variables"]:
        # drivers/firmware/efi/Kconfig: EFI_DISABLE_RUNTIME is on in realtime kernels.
        return unknown("the UEFI variables are not mounted (a realtime kernel has them with efi=runtime only)")
    return Reading(False, "off: the firmware has no variable SecureBoot")


def _memory(facts: Mapping[str, Any]) -> Reading:
    if facts["memory"] is None:
        return unknown("udev has not read the firmware's table of memory")
    said = [one for one in facts["memory"] if one["configured_mts"]]
    if not said:
        return unknown("the firmware does not say the speed of its memory")
    each = [f"{one['slot']} {one['configured_mts']} of {one['rated_mts'] or '?'} MT/s" for one in said]
    return Reading({one["configured_mts"] for one in said}, ", ".join(each))


def _microcode(facts: Mapping[str, Any]) -> Reading:
    if not facts["microcode"]:
        return unknown("the kernel shows no revision")
    return Reading(min(facts["microcode"]), " and ".join(f"{revision:#x}" for revision in facts["microcode"]))


READERS: dict[str, Callable[[Mapping[str, Any]], Reading]] = {
    "smt": _smt,
    "efficiency_cores": _efficiency_cores,
    "deep_c_states": _deep_c_states,
    "speed_shift": _speed_shift,
    "turbo": _turbo,
    "above_4g": _above_4g,
    "iommu": _iommu,
    "secure_boot": _secure_boot,
    "aspm": _aspm,
    "memory_mts": _memory,
    "microcode_minimum": _microcode,
}


def link(facts: Mapping[str, Any], item: str, slot: str, wanted: float | None) -> Reading:
    """Read width or speed of one link (ABI/testing/sysfs-bus-pci)."""
    device = facts["pci"].get(slot)
    if device is None:
        return unknown("no PCI device at this address (lspci -D)")
    now, most = (_number(device[key]) for key in (LINKS[item], LINKS[item].replace("current", "max")))
    if not now or (item == "link_width" and now not in WIDTHS):
        return unknown("the device shows no PCIe link")
    unit = "x{:g}".format if item == "link_width" else "{:g} GT/s".format
    # A GPU lowers the speed, not the width, of its link while it idles: a low one proves nothing and comes and goes.
    if item == "link_speed_gts" and device["class"].startswith("0x03"):
        if wanted is None or most < wanted:
            return Reading(most, f"{unit(most)} at most")
        if now < wanted:
            return unknown(f"less than {unit(wanted)} while it was read, as idle GPUs do: read it under load")
        return Reading(now, f"{unit(wanted)} or more")
    return Reading(now, f"{unit(now)} of {unit(most)}")


def _number(text: str | None) -> float:
    found = re.match(r"[0-9.]+", text or "")
    return float(found[0]) if found else 0.0
