#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Read what the kernel shows of the firmware's settings, all in one go, and change nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firmware_facts
short_description: Read what the kernel shows of the firmware's settings
description:
  - Reads files of /proc, /sys and /run only, starts no command and writes nothing.
  - Judges nothing; the filter C(firmware_report) does.
  - What a host does not have is null; what the user may not read is in C(denied).
options:
  slots:
    description: PCI addresses to read beside those of all display, network and NVMe controllers.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Read what the firmware has set
  firmware_facts:
    slots: ["0000:01:00.0"]
  register: __example_facts_result
"""

RETURN = r"""
firmware:
  description: What was read; the keys are those of C(gather) in this module.
  type: dict
  returned: always
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import processors
else:
    from ansible.module_utils import processors

CPU = "/sys/devices/system/cpu"
# efivarfs: four bytes of attributes, then the value; the GUID is EFI_GLOBAL_VARIABLE of the UEFI specification.
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
MEMORY = "/run/udev/data/+dmi:id"
BOARD = ("sys_vendor", "product_name", "board_vendor", "board_name", "bios_vendor", "bios_version", "bios_date")
# Of the CPU's flags and the kernel's arguments only those that say something about the firmware leave the host.
FLAGS = ("cppc", "hwp", "hypervisor", "ida")
ARGUMENTS = re.compile(r"(?:nosmt|idle|intel_idle\.max_cstate|processor\.max_cstate|pcie_aspm)(?:[=.]\S*)?")
# pci_ids.h: display controllers, network controllers, NVMe controllers.
CLASSES = ("0x03", "0x02", "0x0108")
LINK = ("current_link_width", "max_link_width", "current_link_speed", "max_link_speed")
POWER_STATES = ("l0s_aspm", "l1_aspm", "l1_1_aspm", "l1_2_aspm", "l1_1_pcipm", "l1_2_pcipm")
BARS = 6


class Tree:
    """Reads files below a root; what is not there is None, what may not be read is remembered."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.denied: set[str] = set()

    def at(self, path: str) -> Path:
        """Return where a path lies."""
        return self._root / path.lstrip("/")

    def data(self, path: str) -> bytes | None:
        """Return the bytes of a file."""
        try:
            return self.at(path).read_bytes()
        except PermissionError:
            self.denied.add(path)
        except OSError:  # an attribute may exist and answer EINVAL, such as the link speed of a device without a link
            pass
        return None

    def text(self, path: str) -> str | None:
        """Return the text of a file without the blanks around it."""
        data = self.data(path)
        return None if data is None else data.decode(errors="replace").strip()

    def names(self, path: str) -> list[str] | None:
        """Return the sorted names in a directory."""
        try:
            return sorted(entry.name for entry in self.at(path).iterdir())
        except PermissionError:
            self.denied.add(path)
        except OSError:
            pass
        return None


def memory_devices(text: str) -> list[dict[str, Any]]:
    """Return the populated memory slots as udev's dmi_memory_id has noted them; 0 is not said."""
    said = dict(re.findall(r"^E:MEMORY_DEVICE_(\w+)=(.*)$", text, re.MULTILINE))
    numbers = sorted((name.partition("_")[0] for name in said if name.endswith("_SIZE")), key=int)
    return [
        {
            "slot": said.get(f"{number}_LOCATOR", ""),
            "rated_mts": int(said.get(f"{number}_SPEED_MTS", 0)),
            "configured_mts": int(said.get(f"{number}_CONFIGURED_SPEED_MTS", 0)),
        }
        for number in numbers
    ]


def cpu(tree: Tree) -> dict[str, Any]:
    """Return the first processor as /proc/cpuinfo describes it."""
    lines = (tree.text("/proc/cpuinfo") or "").partition("\n\n")[0].splitlines()
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(said.get("flags", "").split())
    return {
        "vendor": said.get("vendor_id", ""),
        "model": said.get("model name", ""),
        "hybrid": processors.is_hybrid(said),
        "flags": [flag for flag in FLAGS if flag in flags],
        "microcode": said.get("microcode"),
    }


def microcode(tree: Tree, said: str | None) -> list[int]:
    """Return the revisions that the CPUs run; several where one was left behind."""
    folders = [name for name in tree.names(CPU) or () if re.fullmatch(r"cpu\d+", name)]
    each = {tree.text(f"{CPU}/{name}/microcode/version") for name in folders}  # none for a CPU that is offline
    return sorted({int(text, 16) for text in each if text} or {int(text, 16) for text in [said] if text})


def bars(text: str) -> list[list[int]]:
    """Return start and end of each memory BAR from the file `resource` of a device (ioport.h: 0x200 is memory)."""
    rows = [[int(word, 16) for word in line.split()] for line in text.splitlines()[:BARS]]
    return [row[:2] for row in rows if len(row) == 3 and row[2] & 0x200 and row[1] > row[0]]


def devices(tree: Tree, slots: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the PCI devices that matter, by address (ABI/testing/sysfs-bus-pci)."""
    found = {}
    for slot in tree.names("/sys/bus/pci/devices") or ():
        folder = f"/sys/bus/pci/devices/{slot}"
        kind = tree.text(f"{folder}/class") or ""
        if slot not in slots and not kind.startswith(CLASSES):
            continue
        states = {name: tree.text(f"{folder}/link/{name}") for name in POWER_STATES}
        found[slot] = {
            "class": kind,
            "bars": bars(tree.text(f"{folder}/resource") or ""),
            **{name: tree.text(f"{folder}/{name}") for name in LINK},
            "power_states": {name: text for name, text in states.items() if text is not None},
        }
    return found


def gather(root: Path, slots: Sequence[str]) -> dict[str, Any]:
    """Read everything.

    Args:
        root: the root of the file system.
        slots: PCI addresses that the inventory names.
    """
    tree = Tree(root)
    processor = cpu(tree)
    idle = f"{CPU}/cpu0/cpuidle"
    states = [name for name in tree.names(idle) or () if name.startswith("state")]
    boot = tree.data(SECURE_BOOT)
    memory = tree.text(MEMORY)
    marks = [name for name in ("/.dockerenv", "/run/.containerenv") if tree.at(name).exists()]
    return {
        "container": bool(tree.text("/run/systemd/container") or marks),
        "board": {name: tree.text(f"/sys/class/dmi/id/{name}") for name in BOARD},
        "cpu": processor,
        "arguments": [word for word in (tree.text("/proc/cmdline") or "").split() if ARGUMENTS.fullmatch(word)],
        "smt": tree.text(f"{CPU}/smt/control"),
        # A hybrid machine has counters for each kind of core, any other has `cpu`.
        "counters": {name: tree.at(f"/sys/devices/{name}").is_dir() for name in ("cpu", "cpu_core", "cpu_atom")},
        "efficiency_cpus": tree.text("/sys/devices/cpu_atom/cpus"),
        "idle_driver": tree.text(f"{CPU}/cpuidle/current_driver"),
        "idle_states": [
            tree.text(f"{idle}/{name}/name") or "" for name in sorted(states, key=lambda name: int(name[5:]))
        ],
        "no_turbo": tree.text(f"{CPU}/intel_pstate/no_turbo"),
        "boost": tree.text(f"{CPU}/cpufreq/boost"),
        "cppc": tree.at(f"{CPU}/cpu0/acpi_cppc").is_dir(),
        "aspm_policy": tree.text("/sys/module/pcie_aspm/parameters/policy"),
        "pci": devices(tree, slots),
        "iommus": tree.names("/sys/class/iommu") or [],
        "acpi_tables": tree.names("/sys/firmware/acpi/tables"),
        "uefi": tree.at("/sys/firmware/efi").is_dir(),
        "efi_variables": bool(tree.names("/sys/firmware/efi/efivars")),
        "secure_boot": boot[4] if boot and len(boot) > 4 else None,
        "memory": None if memory is None else memory_devices(memory),
        "microcode": microcode(tree, processor["microcode"]),
        "denied": sorted(tree.denied),
    }


def main() -> None:
    """Read and return."""
    module = AnsibleModule(
        argument_spec={"slots": {"type": "list", "elements": "str", "default": []}},
        supports_check_mode=True,
    )
    module.exit_json(changed=False, firmware=gather(Path("/"), module.params["slots"]))


if __name__ == "__main__":
    main()
