#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Read in one go what a host says of its CPUs, memory, frequency driver, kernels and boot loader."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_facts
short_description: What a host says of its CPUs, memory, frequency driver, kernels and boot loader
description:
  - Reads sysfs, /proc, the package database and grub-probe, and changes nothing.
  - A CPU that is offline is present and has no siblings.
options:
  microcode:
    description: Also ask apt for the microcode package of the CPU's vendor. Only on a machine that is no guest.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look at the machine
  kernel_facts:
"""

RETURN = r"""
facts:
  description:
    - Dictionary of cpu (core, atom, present, possible, online, siblings, vendor, guest), nodes (cpus, memory_kib),
      memory_kib, hugepage_kib, cpufreq (driver, governors, preferences), release, cmdline, kernels, dkms (modules),
      held (kernel packages on hold), held_here (those that the role kernel has put on hold),
      machine (its name in records), grub (missing, abstraction, fs) and microcode (package, installed, candidate).
  type: dict
  returned: always
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from fleet.host import host_command, machine_record, processors
else:
    from ansible.module_utils import host_command, machine_record, processors

CPU = "/sys/devices/system/cpu"
HUGE = "/sys/kernel/mm/hugepages"
HELD = "/var/lib/fleet/kernel/held"
DKMS = "var/lib/dkms"
# Daemons that set a governor of their own, later in the boot than the role's unit.
GOVERNORS = ("auto-cpufreq", "cpufrequtils", "power-profiles-daemon", "tlp", "tuned")
WHERE = ("abstraction", "fs")  # what grub-probe tells
COMMANDS = ("grub-mkconfig", "grub-reboot", "grub-editenv", "grub-probe", "grub-script-check")
MICROCODE = {"GenuineIntel": "intel-microcode", "AuthenticAMD": "amd64-microcode"}

Run = Callable[[Sequence[str]], str]


def run_command(words: Sequence[str]) -> str:
    """Return what a command prints, "" when it fails or is not there."""
    done = host_command.run(words, 60)
    return done.out if done.status == 0 else ""


class Machine:
    """The host below a root folder, which tests replace."""

    def __init__(self, root: Path = Path("/"), run: Run = run_command) -> None:
        self.root = root
        self.run = run

    def text(self, name: str) -> str:
        """Return a file's text without its last newline, "" when it cannot be read."""
        try:
            return (self.root / name.lstrip("/")).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def names(self, folder: str, pattern: str) -> list[str]:
        """Return the names in a folder that match a pattern."""
        return sorted(path.name for path in (self.root / folder.lstrip("/")).glob(pattern))

    def cpu(self) -> dict[str, Any]:
        """Return what the processors say."""
        siblings, caches = {}, {}
        for name in self.names(CPU, "cpu[0-9]*"):
            text = self.text(f"{CPU}/{name}/topology/thread_siblings_list")
            if text:
                siblings[name.removeprefix("cpu")] = text
            text = self.text(f"{CPU}/{name}/cache/index2/shared_cpu_list")
            if text:
                caches[name.removeprefix("cpu")] = text
        info = self.text("/proc/cpuinfo")
        fields = dict(part.split(":", 1) for part in info.splitlines() if ":" in part)
        fields = {key.strip(): value.strip() for key, value in fields.items()}
        return {
            "core": self.text("/sys/devices/cpu_core/cpus"),
            "atom": self.text("/sys/devices/cpu_atom/cpus"),
            **{name: self.text(f"{CPU}/{name}") for name in ("present", "possible", "online")},
            "siblings": siblings,
            "caches": caches,
            "hybrid": processors.is_hybrid(fields),
            "vendor": fields.get("vendor_id", ""),
            "model": fields.get("model name", ""),
            "guest": "hypervisor" in fields.get("flags", "").split(),
        }

    def meminfo(self, name: str) -> int:
        """Return MemTotal of the machine or of one node in KiB."""
        for line in self.text(name).splitlines():
            if "MemTotal:" in line:
                return int(line.split("MemTotal:")[1].split()[0])
        return 0

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Return CPUs and memory of each NUMA node."""
        folder = "/sys/devices/system/node"
        return {
            name.removeprefix("node"): {
                "cpus": self.text(f"{folder}/{name}/cpulist"),
                "memory_kib": self.meminfo(f"{folder}/{name}/meminfo"),
            }
            for name in self.names(folder, "node[0-9]*")
        }

    def cpufreq(self) -> dict[str, Any]:
        """Return the frequency driver and what it offers; an empty driver where there is none."""
        folder = f"{CPU}/cpufreq/policy0"
        return {
            "driver": self.text(f"{folder}/scaling_driver"),
            "governors": self.text(f"{folder}/scaling_available_governors").split(),
            "preferences": self.text(f"{folder}/energy_performance_available_preferences").split(),
            "owners": self.owners(),
        }

    def owners(self) -> list[str]:
        """Return the other units that set a governor and start at boot."""
        units = [f"{name}.service" for name in GOVERNORS]
        words = ["systemctl", "list-unit-files", "--no-legend", "--plain", "--state=enabled,enabled-runtime", *units]
        return sorted(line.split()[0] for line in self.run(words).splitlines() if line.strip())

    def grub(self) -> dict[str, Any]:
        """Return which of GRUB's tools are missing, and on what its folder lies."""
        missing = [name for name in COMMANDS if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
        if not self.text("/boot/grub/grub.cfg"):
            missing.append("/boot/grub/grub.cfg")
        probe = {} if missing else {what: self.run(["grub-probe", f"--target={what}", "/boot/grub"]) for what in WHERE}
        return {"missing": missing, **{what: probe.get(what, "").strip() for what in WHERE}}

    def held(self) -> list[str]:
        """Return the kernel packages that are on hold."""
        # One pattern, which something always matches: dpkg-query fails as a whole where one of several finds nothing.
        shown = self.run(["dpkg-query", "--show", "--showformat=${db:Status-Want} ${Package}\n", "linux-*"])
        return sorted(line.split()[1] for line in shown.splitlines() if line.startswith("hold "))

    def held_here(self, machine: str) -> list[str]:
        """Return the kernel packages that the role has put on hold on this machine."""
        data = machine_record.opened(self.text(HELD), machine).data or {}
        return sorted(str(name) for name in data.get("packages", []))

    def dkms(self) -> list[str]:
        """Return the modules that DKMS builds for each kernel."""
        return sorted({path.parts[-3] for path in (self.root / DKMS).glob("*/*/source")})

    def microcode(self, vendor: str) -> dict[str, str]:
        """Return the package of the vendor's microcode, and its installed and available version."""
        package = MICROCODE.get(vendor, "")
        found = {"package": package, "installed": "", "candidate": ""}
        for line in self.run(["apt-cache", "policy", package]).splitlines() if package else ():
            key, _, value = line.strip().partition(": ")
            if key.lower() in found and value != "(none)":
                found[key.lower()] = value
        return found

    def facts(self, microcode: bool) -> dict[str, Any]:
        """Return everything."""
        cpu, machine = self.cpu(), machine_record.identity(self.root)
        sizes = [name.removeprefix("hugepages-").removesuffix("kB") for name in self.names(HUGE, "hugepages-*kB")]
        kernels = [name.removeprefix("vmlinuz-") for name in self.names("/boot", "vmlinuz-*")]
        return {
            "cpu": cpu,
            "nodes": self.nodes(),
            "memory_kib": self.meminfo("/proc/meminfo"),
            "hugepage_kib": sorted(int(size) for size in sizes),
            "cpufreq": self.cpufreq(),
            "release": self.text("/proc/sys/kernel/osrelease"),
            "cmdline": self.text("/proc/cmdline").split(),
            "kernels": kernels,
            "dkms": self.dkms(),
            "held": self.held(),
            "held_here": self.held_here(machine),
            "machine": machine,
            # Ubuntu's second package of modules, of each release that apt knows.
            "modules_extra": sorted(self.run(["apt-cache", "pkgnames", "linux-modules-extra-"]).split()),
            "grub": self.grub(),
            "microcode": self.microcode(cpu["vendor"]) if microcode and not cpu["guest"] else self.microcode(""),
        }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={"microcode": {"type": "bool", "default": True}},
        supports_check_mode=True,
    )
    module.exit_json(changed=False, facts=Machine().facts(module.params["microcode"]))


if __name__ == "__main__":
    main()
