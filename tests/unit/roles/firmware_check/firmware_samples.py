# SPDX-License-Identifier: Apache-2.0
"""Small trees of /proc, /sys and /run as machines of the fleet would show them: path -> content.

They are written from the kernel's ABI documents and the processors' data, not copied from machines: no test here has
seen one of these boards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Content = str | bytes
GIB = 2**30
MEMORY = "/run/udev/data/+dmi:id"
GPU, NIC, NVME, OTHER = "0x030000", "0x020000", "0x010802", "0x060400"
EFI = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def write(root: Path, sample: Mapping[str, Content]) -> Path:
    """Write a sample below a folder; a path that ends in / is an empty directory."""
    for path, content in sample.items():
        place = root / path.lstrip("/")
        (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            place.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
    return root


def cpuinfo(vendor: str, model: str, numbers: tuple[int, int, int], flags: str) -> str:
    family, number, stepping = numbers
    lines = {
        "processor": 0,
        "vendor_id": vendor,
        "cpu family": family,
        "model": number,
        "model name": model,
        "stepping": stepping,
        "microcode": "0x10",
        "flags": f"fpu {flags} vmx",
    }
    one = "\n".join(f"{key}\t: {value}" for key, value in lines.items())
    return f"{one}\n\n{one}"


def pci(
    slot: str, kind: str, now: tuple[int, float], most: tuple[int, float], bars: tuple[tuple[int, int], ...] = ()
) -> dict[str, str]:
    """Return the attributes of a device: class, width and speed of its link, and start and size of its memory BARs."""
    folder = f"/sys/bus/pci/devices/{slot}"
    rows = [f"{start:#018x} {start + size - 1:#018x} 0x000000000014220c" for start, size in bars]
    rows += ["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * (13 - len(rows))
    return {
        f"{folder}/class": kind,
        f"{folder}/resource": "\n".join(rows),
        f"{folder}/current_link_width": str(now[0]),
        f"{folder}/max_link_width": str(most[0]),
        f"{folder}/current_link_speed": f"{now[1]} GT/s PCIe",
        f"{folder}/max_link_speed": f"{most[1]} GT/s PCIe",
    }


def idle(driver: str, *names: str) -> dict[str, str]:
    """Return the idle states of the first CPU."""
    folder = "/sys/devices/system/cpu"
    return {f"{folder}/cpuidle/current_driver": driver} | {
        f"{folder}/cpu0/cpuidle/state{index}/name": name for index, name in enumerate(names)
    }


def memory(*modules: tuple[str, int, int]) -> str:
    """Return what udev notes of slots: name, rated and configured MT/s, 0 where it says none; an empty slot is 0, 0."""
    lines = ["E:MEMORY_ARRAY_LOCATION=System Board Or Motherboard", f"E:MEMORY_ARRAY_NUM_DEVICES={len(modules)}"]
    for number, (slot, rated, configured) in enumerate(modules):
        said = {"LOCATOR": slot, "SPEED_MTS": rated, "CONFIGURED_SPEED_MTS": configured}
        said |= {"SIZE": 32 * GIB} if rated else {"PRESENT": 0}
        lines += [f"E:MEMORY_DEVICE_{number}_{key}={value}" for key, value in said.items() if value or key == "PRESENT"]
    return "\n".join(lines)


I9_12900H: dict[str, Content] = {
    "/proc/cpuinfo": cpuinfo("GenuineIntel", "12th Gen Intel(R) Core(TM) i9-12900H", (6, 154, 3), "hwp ida"),
    "/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/x secret=1 quiet",
    "/sys/class/dmi/id/board_name": "AHWSA",
    "/sys/class/dmi/id/bios_version": "1.27",
    "/sys/devices/system/cpu/smt/control": "on",
    "/sys/devices/cpu_core/cpus": "0-11",
    "/sys/devices/cpu_atom/cpus": "12-19",
    **idle("intel_idle", "POLL", "C1E", "C6", "C8", "C10"),
    "/sys/devices/system/cpu/intel_pstate/no_turbo": "0",
    "/sys/module/pcie_aspm/parameters/policy": "[default] performance powersave powersupersave",
    "/sys/firmware/acpi/tables/DMAR": b"",
    "/sys/class/iommu/dmar0/": "",
    "/sys/class/iommu/dmar1/": "",
    EFI: b"\x06\0\0\0\x00",
    MEMORY: memory(("DIMM A", 5600, 4800), ("DIMM B", 5600, 4800)),
    "/sys/devices/system/cpu/cpu0/microcode/version": "0x43b",
    "/sys/devices/system/cpu/cpu1/microcode/version": "0x43b",
    **pci("0000:00:02.0", GPU, (0, 0), (0, 0), ((0x6000000000, 256 * 2**20),)),
    **pci("0000:02:00.0", NIC, (4, 8.0), (8, 8.0)),
    "/sys/bus/pci/devices/0000:02:00.0/link/l1_aspm": "1",
    "/sys/bus/pci/devices/0000:02:00.0/link/l0s_aspm": "0",
    **pci("0000:00:06.0", OTHER, (4, 16.0), (4, 16.0)),
    **pci("0000:58:00.0", NVME, (4, 16.0), (4, 16.0), ((0x6E000000, 16384),)),
}
CORE_285K: dict[str, Content] = {
    "/proc/cpuinfo": cpuinfo("GenuineIntel", "Intel(R) Core(TM) Ultra 9 285K", (6, 198, 2), "hwp ida"),
    "/proc/cmdline": "quiet",
    "/sys/devices/system/cpu/smt/control": "notsupported",
    "/sys/devices/cpu_core/cpus": "0-7",
    "/sys/devices/cpu_atom/cpus": "8-23",
    **idle("intel_idle", "POLL", "C1", "C6"),
    "/sys/devices/system/cpu/intel_pstate/no_turbo": "1",
    "/sys/module/pcie_aspm/parameters/policy": "default [performance] powersave powersupersave",
    "/sys/firmware/acpi/tables/DMAR": b"",
    "/sys/class/iommu/": "",
    EFI: b"\x06\0\0\0\x01",
    MEMORY: memory(*((f"DIMM {n}", 5600, 5600) for n in "ABCD")),
    "/sys/devices/system/cpu/cpu0/microcode/version": "0x11a",
    **pci("0000:01:00.0", GPU, (8, 2.5), (16, 32.0), ((0x84000000, 64 * 2**20), (0x8000000000, 128 * GIB))),
    **pci("0000:02:00.0", GPU, (8, 32.0), (16, 32.0), ((0x88000000, 64 * 2**20), (0xA000000000, 128 * GIB))),
    **pci("0000:04:00.0", NIC, (8, 8.0), (8, 8.0)),
    "/sys/bus/pci/devices/0000:04:00.0/link/l1_aspm": "0",
}
RYZEN_5600: dict[str, Content] = {
    "/proc/cpuinfo": cpuinfo("AuthenticAMD", "AMD Ryzen 5 5600 6-Core Processor", (25, 33, 2), "cpb"),
    "/proc/cmdline": "idle=nomwait processor.max_cstate=1",
    "/sys/devices/system/cpu/smt/control": "forceoff",
    "/sys/devices/cpu/type": "4",
    **idle("acpi_idle", "POLL", "C1"),
    "/sys/devices/system/cpu/cpufreq/boost": "1",
    "/sys/devices/system/cpu/cpu0/acpi_cppc/highest_perf": "166",
    "/sys/firmware/acpi/tables/FACP": b"",
    "/sys/class/iommu/": "",
    MEMORY: memory(("A1", 3600, 2666), ("A2", 0, 0), ("B1", 3600, 2666)),
    "/sys/devices/system/cpu/cpu0/microcode/version": "0xa20120e",
    **pci("0000:01:00.0", GPU, (16, 2.5), (16, 16.0), ((0xF6000000, 16 * 2**20), (0xE0000000, 256 * 2**20))),
}
VIRTUAL_MACHINE: dict[str, Content] = {
    "/proc/cpuinfo": cpuinfo("GenuineIntel", "QEMU Virtual CPU", (15, 107, 1), "hypervisor"),
    "/proc/cmdline": "quiet",
    "/sys/devices/system/cpu/smt/control": "on",
    **idle("none"),
    EFI: b"\x06\0\0\0\x00",
    MEMORY: "E:MEMORY_DEVICE_0_SIZE=4294967296",
    **pci("0000:00:03.0", NIC, (1, 2.5), (1, 2.5)),
}
CONTAINER: dict[str, Content] = I9_12900H | {"/run/systemd/container": "docker"}

HARDWARE: dict[str, dict[str, Any]] = {
    "i9_12900h": {
        "nics": [
            {"model": "Intel X710", "pci_slot": "0000:02:00.0"},
            {"model": "Intel X710", "pci_slot": "0000:02:00.1"},
        ]
    },
    "core_285k": {
        "gpus": [
            {"model": "RTX PRO 6000", "pci_slot": "0000:01:00.0", "vram_gib": 96},
            {"model": "RTX PRO 6000", "pci_slot": "0000:02:00.0", "vram_gib": 96},
        ],
        "nics": [{"model": "Solarflare X2522", "pci_slot": "0000:04:00.0"}, {"model": "no slot"}],
    },
    "ryzen_5600": {"gpus": [{"model": "RTX 4070 Ti SUPER", "pci_slot": "0000:01:00.0", "vram_gib": 16}]},
}
