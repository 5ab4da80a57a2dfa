#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Set the network ports of this machine as /etc/fleet/nic.json wants them, and nothing that is right already.

`apply` writes what differs, one port after the other, the one that carries the default route last; it waits until a
link that was up is up again, and puts the old value back where it does not return. `check` only looks and exits 1 when
something differs. Steering filters go through ethtool, everything else straight to the kernel.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nic_ethtool import FEATURES, GROUPS, Ports

CONFIG = Path("/etc/fleet/nic.json")
FILTERS = Path("/run/fleet-nic/filters.json")
LINK_SECONDS = 30.0

Run = Callable[[Sequence[str]], tuple[int, str]]


@dataclass(frozen=True)
class Port:
    """What one port shall be; values are numbers, 0 and 1 for switches."""

    slot: str
    use: str
    settings: Mapping[str, int]
    filters: tuple[str, ...] = ()

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Port:
        """Read one entry of the configuration file."""
        settings = {key: int(value) for key, value in data["settings"].items()}
        return cls(data["slot"], data["use"], settings, tuple(data["filters"]))


def differing(wanted: Mapping[str, int], offered: Mapping[str, Mapping[str, int]]) -> dict[str, int | None]:
    """Return each setting that is not as wanted, with its present value; None where the driver has no such setting."""
    now = {key: offered[key]["value"] if key in offered else None for key in wanted}
    return {key: value for key, value in now.items() if value != wanted[key]}


def shown(value: int | None) -> str:
    """Return a value of `differing` for a person."""
    return "not offered" if value is None else str(value)


def unmet(key: str, want: int, before: int | None, now: int | None) -> str:
    """Say what a driver made of a setting that it did not refuse and that is not as wanted."""
    if now == before:
        return f"the driver ignores {key} {want} and keeps {shown(now)}: declare what it can do, or leave {key} out"
    return f"the driver made {shown(now)} of {key} {want}: declare {shown(now)}"


def steps(keys: Sequence[str] | Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield settings that are written together, in the order that drivers expect: queues, then what lies on them."""
    groups = [*(tuple(GROUPS[message]) for message in (17, 15, 19)), *((key,) for key in sorted(FEATURES)), ("mtu",)]
    for group in groups:
        together = tuple(key for key in group if key in keys)
        if together:
            yield together


def ordered(ports: Sequence[Port], interfaces: Mapping[str, Sequence[str]], default: str) -> list[Port]:
    """Return the ports in the order to touch them; whoever is logged in comes over the default route: that is last."""
    return sorted(ports, key=lambda port: default in interfaces.get(port.slot, ()))


def run(words: Sequence[str]) -> tuple[int, str]:
    """Run a command; exit status and what it said."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, f"{done.stdout}{done.stderr}".strip()


def default_interface(route: Path = Path("/proc/net/route")) -> str:
    """Return the interface of the default route, or nothing."""
    rows = [line.split() for line in route.read_text().splitlines()[1:]]
    return next((row[0] for row in rows if row[1] == "00000000"), "")


class Filters:
    """Steering filters, each at the location that is its place in the list; a record says what was set since boot."""

    def __init__(self, record: Path = FILTERS, runner: Run = run) -> None:
        self._record, self._run = record, runner

    def _recorded(self) -> dict[str, list[str]]:
        try:
            return dict(json.loads(self._record.read_text()))
        except (OSError, ValueError):
            return {}

    def _present(self, name: str, location: int) -> bool:
        return self._run(["ethtool", "-n", name, "rule", str(location)])[0] == 0

    def right(self, name: str, wanted: Sequence[str]) -> bool:
        """Whether exactly these filters are set."""
        same = self._recorded().get(name, []) == list(wanted)
        return same and all(self._present(name, location) for location in range(len(wanted)))

    def put(self, name: str, wanted: Sequence[str]) -> list[str]:
        """Set them and return what went wrong."""
        record = self._recorded()
        for location in range(max(len(record.get(name, [])), len(wanted))):
            if self._present(name, location):
                self._run(["ethtool", "-N", name, "delete", str(location)])
        errors = []
        for location, words in enumerate(wanted):
            status, said = self._run(["ethtool", "-N", name, *words.split(), "loc", str(location)])
            if status:
                errors.append(f"{name}: filter {words}: {said}")
        self._record.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._record.write_text(json.dumps(record | {name: list(wanted)}))
        return errors


class Setter:
    """Brings one port after the other to its settings, and collects what to tell."""

    def __init__(
        self, ports: Ports, filters: Filters, write: bool, seconds: float = LINK_SECONDS, pause: float = 0.2
    ) -> None:
        self._ports, self._filters, self._write = ports, filters, write
        self._seconds, self._pause = seconds, pause
        self.lines: list[str] = []
        self.errors: list[str] = []

    def port(self, port: Port, name: str) -> None:
        """Compare one port, and in `apply` write what differs."""
        todo = differing(port.settings, self._ports.settings(name))
        for key, now in todo.items():
            self.lines.append(f"{port.use} {name} {key}: {shown(now)} -> {port.settings[key]}")
        if self._write:
            failed: set[str] = set()
            for together in steps(todo):
                if not self._step(name, {key: port.settings[key] for key in together}, todo):
                    failed.update(together)
            left = differing(port.settings, self._ports.settings(name))
            self.errors += [
                f"{name}: {unmet(key, port.settings[key], todo.get(key), now)}"
                for key, now in left.items()
                if key not in failed
            ]
        if not self._filters.right(name, port.filters):
            self.lines.append(f"{port.use} {name} filters -> {len(port.filters)}")
            if self._write:
                self.errors += self._filters.put(name, port.filters)

    def _step(self, name: str, values: Mapping[str, int], before: Mapping[str, int | None]) -> bool:
        """Write settings that belong together; whether the driver took them and the link is as before."""
        up = self._ports.carrier(name)
        what = ", ".join(f"{key} {value}" for key, value in values.items())
        try:
            self._put(name, values)
        except OSError as error:
            self.errors.append(f"{name}: the driver refuses {what}: {error.strerror}")
            return False
        if up and not self._returns(name):
            self.errors.append(f"{name}: the link did not return in {self._seconds:.0f} s after {what}: put back")
            with contextlib.suppress(OSError):
                self._put(name, {key: value for key in values if (value := before[key]) is not None})
            return False
        return True

    def _put(self, name: str, values: Mapping[str, int]) -> None:
        for message, group in GROUPS.items():
            together = {key: value for key, value in values.items() if key in group}
            if together:
                self._ports.set_numbers(name, message, together)
        for key, value in values.items():
            if key in FEATURES:
                self._ports.set_offload(name, key, bool(value))
            elif key == "mtu":
                self._ports.set_mtu(name, value)

    def _returns(self, name: str) -> bool:
        end = time.monotonic() + self._seconds
        while not self._ports.carrier(name):
            if time.monotonic() >= end:
                return False
            time.sleep(self._pause)
        return True


def converge(wanted: Sequence[Port], ports: Ports, setter: Setter, default: str) -> None:
    """Bring all ports to their settings; one that is gone is an error, the others are set all the same."""
    interfaces = ports.by_slot()
    for port in ordered(wanted, interfaces, default):
        names = interfaces.get(port.slot, [])
        if len(names) == 1:
            setter.port(port, names[0])
        else:
            found = f"{len(names)} interfaces" if names else "no interface"
            present = ", ".join(f"{slot} {'/'.join(held)}" for slot, held in interfaces.items())
            setter.errors.append(f"{port.use}: {found} at {port.slot}; present: {present}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 all is right, 1 something differs or cannot be set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("command", choices=["apply", "check"])
    words = parser.parse_args(arguments)
    wanted = [Port.load(item) for item in json.loads(words.config.read_text())["ports"]]
    ports = Ports()
    setter = Setter(ports, Filters(), words.command == "apply")
    converge(wanted, ports, setter, default_interface())
    verb = "set" if words.command == "apply" else "differs"
    print("\n".join([*(f"{verb:8} {line}" for line in setter.lines), f"{verb} {len(setter.lines)}"]))
    print("\n".join(setter.errors), file=sys.stderr, end="\n" if setter.errors else "")
    return int(bool(setter.errors or (words.command == "check" and setter.lines)))


if __name__ == "__main__":
    sys.exit(main())
