#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Settings of the running kernel that no boot argument carries: `station-kernel apply|restore|metrics`.

apply writes what /etc/station/kernel.json wants and remembers what was there; restore writes that back; metrics says
whether a reboot is pending or a trial has failed. Sources: admin-guide/pm/{cpufreq,intel_pstate}.rst,
ABI/testing/sysfs-devices-power, mm/transhuge.rst, core-api/cpu_hotplug.rst.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = "/etc/station/kernel.json"
BEFORE = "/run/station/kernel-before.json"
STATE = "/var/lib/station/kernel/state.json"
FAILED = "/var/lib/station/kernel/failed.json"
CPU = "/sys/devices/system/cpu"
PROC = ("sys/kernel/osrelease", "cmdline", "sys/kernel/random/boot_id")
HUGE = "/sys/kernel/mm/transparent_hugepage"
# always would compact memory at every fault; the kernel's own default is madvise for both (transhuge.rst).
DEFRAG = {"always": "madvise", "madvise": "madvise", "never": "never"}


@dataclass(frozen=True)
class Write:
    """One value for one file of sysfs."""

    path: str
    value: str


def cpus(text: str) -> list[int]:
    """Return the CPUs of a list such as 2-5,8."""
    found: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def chosen(text: str) -> str:
    """Return the value that a file shows; of several on offer, the one in brackets."""
    marked = [word[1:-1] for word in text.split() if word.startswith("[") and word.endswith("]")]
    return marked[0] if marked else text.strip()


def wanted(config: Mapping[str, Any], names: Callable[[str, str], list[str]]) -> Iterator[Write]:
    """Yield what to write, in order; pure.

    Args:
        config: the wishes.
        names: gives the names in a folder that match a pattern.
    """
    for policy in names(f"{CPU}/cpufreq", "policy*"):
        # The governor first: under performance the driver refuses other preferences.
        if config["governor"]:
            yield Write(f"{CPU}/cpufreq/{policy}/scaling_governor", config["governor"])
        if config["energy_preference"]:
            yield Write(f"{CPU}/cpufreq/{policy}/energy_performance_preference", config["energy_preference"])
    if config["idle_latency_us"]:
        for number in cpus(config["isolated"]):
            yield Write(f"{CPU}/cpu{number}/power/pm_qos_resume_latency_us", str(config["idle_latency_us"]))
    huge = config["transparent_hugepages"]
    # A realtime kernel has none, which is as good as never.
    if huge and (huge != "never" or names(HUGE, "enabled")):
        yield Write(f"{HUGE}/enabled", huge)
        yield Write(f"{HUGE}/defrag", DEFRAG[huge])
    # Last, and the first to come back: an offline CPU has no files of its own.
    for number in cpus(config["offline"]):
        yield Write(f"{CPU}/cpu{number}/online", "0")


class Machine:
    """The files below a root folder, which tests replace."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Return a path below the root."""
        return self.root / name.lstrip("/")

    def names(self, folder: str, pattern: str) -> list[str]:
        """Return the names in a folder that match a pattern."""
        return sorted(path.name for path in self.path(folder).glob(pattern))

    def json(self, name: str) -> Any:
        """Return what a file of JSON holds, None when it is absent or damaged."""
        try:
            return json.loads(self.path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def put(self, name: str, text: str) -> None:
        """Replace a file in one step."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o644)
        new.replace(path)

    def write(self, item: Write) -> str:
        """Write one value and read it back; returns what went wrong, "" when nothing did."""
        path = self.path(item.path)
        try:
            if chosen(path.read_text()) == item.value:
                return ""
            path.write_text(item.value)
            found = chosen(path.read_text())
        except OSError as error:
            return f"{item.path}: the kernel refuses {item.value}: {error.strerror}"
        return "" if found == item.value else f"{item.path}: wrote {item.value}, found {found}"


def apply(machine: Machine) -> list[str]:
    """Write what is wanted, and remember what was there at the first time in this boot."""
    writes = list(wanted(machine.json(CONFIG), machine.names))
    before: dict[str, str] = machine.json(BEFORE) or {}
    for item in writes:
        if item.path not in before:
            with contextlib.suppress(OSError):  # what cannot be read is reported when it is written
                before[item.path] = chosen(machine.path(item.path).read_text())
    machine.put(BEFORE, json.dumps(before, indent=1))
    return [problem for problem in map(machine.write, writes) if problem]


def restore(machine: Machine) -> list[str]:
    """Write back what was there, in the opposite order."""
    before: dict[str, str] = machine.json(BEFORE) or {}
    problems = [machine.write(Write(path, value)) for path, value in reversed(before.items())]
    machine.path(BEFORE).unlink(missing_ok=True)
    return [problem for problem in problems if problem]


def reboot_pending(state: Mapping[str, Any] | None, release: str, words: list[str], boot_id: str) -> bool:
    """Whether the host waits for a reboot; pure.

    Args:
        state: what the last run recorded.
        release: of the running kernel.
        words: of its command line.
        boot_id: of this boot.
    """
    if state is None:
        return False
    if state["phase"] == "stock":
        return bool(state["boot_id"] == boot_id)
    if state["phase"] != "proven":
        return True
    ours = [word for word in words if not word.startswith("BOOT_IMAGE=")]
    if len(ours) >= 2 and ours[-2].startswith("station.trial="):
        ours = ours[:-2]
    return bool(state["line"]["release"] != release or state["line"]["words"] != ours)


def metrics(machine: Machine) -> list[str]:
    """Write the metrics where the node exporter reads them, if it is there."""
    config = machine.json(CONFIG) or {}
    folder = config.get("textfile_directory", "")
    if not folder or not machine.path(folder).is_dir():
        return []
    read = {name: machine.path(f"/proc/{name}").read_text().strip() for name in PROC}
    pending = reboot_pending(machine.json(STATE), read[PROC[0]], read[PROC[1]].split(), read[PROC[2]])
    rows = (
        ("station_reboot_pending", "Whether the wanted kernel line waits for a reboot.", pending),
        (
            "station_boot_trial_failed",
            "Whether the wanted kernel line failed its trial.",
            machine.path(FAILED).exists(),
        ),
    )
    text = "".join(f"# HELP {name} {words}\n# TYPE {name} gauge\n{name} {int(value)}\n" for name, words, value in rows)
    machine.put(f"{folder}/station_kernel.prom", text)
    return []


COMMANDS: Mapping[str, Callable[[Machine], list[str]]] = {"apply": apply, "restore": restore, "metrics": metrics}


def main(arguments: list[str], machine: Machine) -> int:
    """Run one command; every problem is one line."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"station-kernel: one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    problems = COMMANDS[arguments[0]](machine)
    for problem in problems:
        print(f"station-kernel: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Machine()))
