#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Settings of the running kernel that no boot argument carries: `kernel-settings apply|check|restore|metrics`.

apply writes what /etc/fleet/kernel.json wants and remembers what was there; check only looks and exits 1 when
something differs; restore writes back what was there; metrics says whether a reboot is pending or a trial has failed.
Sources: admin-guide/pm/{cpufreq,intel_pstate}.rst, ABI/testing/sysfs-devices-power, mm/transhuge.rst,
core-api/cpu_hotplug.rst.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpu_lists import parse

CONFIG = "/etc/fleet/kernel.json"
BEFORE = "/run/fleet/kernel-before.json"
STATE = "/var/lib/fleet/kernel/state.json"
FAILED = "/var/lib/fleet/kernel/failed.json"
CPU = "/sys/devices/system/cpu"
PROC = ("sys/kernel/osrelease", "cmdline", "sys/kernel/random/boot_id")
HUGE = "/sys/kernel/mm/transparent_hugepage"
# always would compact memory at every fault; the kernel's own default is madvise for both (transhuge.rst).
DEFRAG = {"always": "madvise", "madvise": "madvise", "never": "never"}
GOVERNOR, ONLINE = "scaling_governor", "online"


@dataclass(frozen=True)
class Write:
    """One value for one file of sysfs."""

    path: str
    value: str


@dataclass(frozen=True)
class Outcome:
    """What a command has to say: lines of what it found or did, and what went wrong."""

    lines: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    differs: bool = False


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
            yield Write(f"{CPU}/cpufreq/{policy}/{GOVERNOR}", config["governor"])
        if config["energy_preference"]:
            yield Write(f"{CPU}/cpufreq/{policy}/energy_performance_preference", config["energy_preference"])
    offline = sorted(parse(config["offline"]))
    if config["idle_latency_us"]:
        # A CPU that is offline does not idle.
        for number in sorted(parse(config["isolated"]).difference(offline)):
            yield Write(f"{CPU}/cpu{number}/power/pm_qos_resume_latency_us", str(config["idle_latency_us"]))
    huge = config["transparent_hugepages"]
    # A realtime kernel has none, which is as good as never.
    if huge and (huge != "never" or names(HUGE, "enabled")):
        yield Write(f"{HUGE}/enabled", huge)
        yield Write(f"{HUGE}/defrag", DEFRAG[huge])
    # Last, and the first to come back: the settings of an offline CPU can neither be read nor written.
    for number in offline:
        yield Write(f"{CPU}/cpu{number}/{ONLINE}", "0")


def turn(item: Write) -> int:
    """Return when a value is written back: CPUs come online, then the governor, which decides what preferences go."""
    name = item.path.rpartition("/")[2]
    return {ONLINE: 0, GOVERNOR: 1}.get(name, 2)


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

    def load(self, name: str) -> str:
        """Return the text of one file of sysfs."""
        return self.path(name).read_text()

    def store(self, name: str, value: str) -> None:
        """Write one file of sysfs, which has to be there."""
        with os.fdopen(os.open(self.path(name), os.O_WRONLY | os.O_TRUNC), "w") as file:
            file.write(value)

    def write(self, item: Write) -> str:
        """Write one value and read it back; returns what went wrong, "" when nothing did."""
        try:
            self.store(item.path, item.value)
            found = chosen(self.load(item.path))
        except OSError as error:
            return f"{item.path}: the kernel refuses {item.value}: {error.strerror}"
        return "" if found == item.value else f"{item.path}: wrote {item.value}, found {found}"

    def differing(self, items: Iterable[Write]) -> Iterator[tuple[Write, str]]:
        """Yield what has another value, each with that value, "absent" where there is no such file."""
        for item in items:
            try:
                found = chosen(self.load(item.path))
            except OSError as error:
                if error.errno == errno.EBUSY:
                    continue  # the policy of a CPU that is offline (show() in cpufreq.c)
                found = "absent" if error.errno == errno.ENOENT else str(error.strerror)
            if found != item.value:
                yield item, found

    def replace(self, items: Iterable[Write]) -> Iterator[tuple[Write, str, str]]:
        """Write what differs, one after the other; yields each with what was there and what went wrong."""
        for item, found in self.differing(items):
            yield item, found, self.write(item)


def check(machine: Machine) -> Outcome:
    """Say what is not as wanted."""
    found = [
        f"{item.path} is {value}, wanted {item.value}"
        for item, value in machine.differing(wanted(machine.json(CONFIG), machine.names))
    ]
    return Outcome((*found, f"differs {len(found)}"), differs=bool(found))


def apply(machine: Machine) -> Outcome:
    """Write what is wanted, and remember what was there at the first time in this boot."""
    writes = list(wanted(machine.json(CONFIG), machine.names))
    remembered: dict[str, str] = machine.json(BEFORE) or {}
    before = dict(remembered)
    for item in writes:
        if item.path not in before:
            with contextlib.suppress(OSError):  # what cannot be read is reported when it is written
                before[item.path] = chosen(machine.load(item.path))
    if before != remembered:
        machine.put(BEFORE, json.dumps(before, indent=1))
    done = list(machine.replace(writes))
    lines = [f"{item.path} was {found}, is {item.value}" for item, found, problem in done if not problem]
    return Outcome((*lines, f"set {len(lines)}"), tuple(problem for _, _, problem in done if problem))


def restore(machine: Machine) -> Outcome:
    """Write back what was there."""
    before: dict[str, str] = machine.json(BEFORE) or {}
    items = sorted((Write(path, value) for path, value in before.items()), key=turn)
    problems = [problem for _, _, problem in machine.replace(items) if problem]
    machine.path(BEFORE).unlink(missing_ok=True)
    return Outcome(errors=tuple(problems))


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
    if len(ours) >= 2 and ours[-2].startswith("fleet.trial="):
        ours = ours[:-2]
    return bool(state["line"]["release"] != release or state["line"]["words"] != ours)


def metrics(machine: Machine) -> Outcome:
    """Write the metrics where the node exporter reads them, if it is there."""
    config = machine.json(CONFIG) or {}
    folder = config.get("textfile_directory", "")
    if not folder or not machine.path(folder).is_dir():
        return Outcome()
    read = {name: machine.path(f"/proc/{name}").read_text().strip() for name in PROC}
    pending = reboot_pending(machine.json(STATE), read[PROC[0]], read[PROC[1]].split(), read[PROC[2]])
    rows = (
        ("fleet_reboot_pending", "Whether the wanted kernel line waits for a reboot.", pending),
        (
            "fleet_boot_trial_failed",
            "Whether the wanted kernel line failed its trial.",
            machine.path(FAILED).exists(),
        ),
    )
    text = "".join(f"# HELP {name} {words}\n# TYPE {name} gauge\n{name} {int(value)}\n" for name, words, value in rows)
    machine.put(f"{folder}/fleet_kernel.prom", text)
    return Outcome()


COMMANDS: Mapping[str, Callable[[Machine], Outcome]] = {
    "apply": apply,
    "check": check,
    "restore": restore,
    "metrics": metrics,
}


def main(arguments: list[str], machine: Machine) -> int:
    """Run one command; returns 1 when something went wrong, and for check also when something differs."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"kernel-settings: one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    outcome = COMMANDS[arguments[0]](machine)
    for line in outcome.lines:
        print(line)
    for problem in outcome.errors:
        print(f"kernel-settings: {problem}", file=sys.stderr)
    return int(bool(outcome.errors) or outcome.differs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Machine()))
