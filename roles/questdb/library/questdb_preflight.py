#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ask a host whether a QuestDB release can run there, before anything on it is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: questdb_preflight
short_description: Say why a QuestDB server could not run on a host
description:
  - Changes nothing. Returns every reason as a line with the variable behind it; the action preflight refuses the host.
  - A port must be free or held by the unit itself, the file system of the data must have room, the memory asked for
    must exist, and the data must not come from a server with another major version.
options:
  unit:
    description: The server's systemd unit; ports that its processes hold are its own.
    type: str
    required: true
  ports:
    description: TCP ports on the loopback address by the variable that sets them.
    type: dict
    required: true
  root:
    description: Data directory, existing or not.
    type: path
    required: true
  min_free_mib:
    description: Room the data's file system must have, MiB.
    type: int
    required: true
  memory_mib:
    description: Memory the server may take in all, MiB.
    type: int
    required: true
  version:
    description: Version of the server that is to run.
    type: str
    required: true
  jar:
    description: Where that version's jar is installed.
    type: path
    required: true
  sha256:
    description: The jar's checksum.
    type: str
    required: true
  system:
    description: Distribution and version that the host runs, such as debian-13.
    type: str
    required: true
  java:
    description: Java package by distribution and version.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
"""

EXAMPLES = r"""
- name: Look whether the server could run here
  questdb_preflight:
    unit: questdb.service
    ports: {questdb_http_port: 9000}
    root: /var/lib/questdb
    min_free_mib: 2048
    memory_mib: 3072
    version: 9.3.4
    jar: /opt/questdb/questdb-9.3.4.jar
    sha256: 939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062
    system: debian-13
    java: {debian-13: openjdk-21-jre-headless}
"""

RETURN = r"""
problems:
  description: Why the server could not run, one line each.
  type: list
  elements: str
  returned: success
installed:
  description: Whether the jar is there with this checksum.
  type: bool
  returned: success
previous:
  description: Version that last opened the data, empty for none.
  type: str
  returned: success
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MIB = 1024 * 1024
LISTEN = "0A"
# As the kernel prints them: any, loopback, and IPv4's loopback seen through an IPv6 socket, in little-endian words.
CLAIMS_LOOPBACK = {"00000000", "0100007F", "0" * 32, "0000000000000000FFFF00000100007F"}
RELEASE = Path("conf/release.json")


@dataclass(frozen=True)
class Holder:
    """The process that listens on a port."""

    name: str
    pid: int
    unit: str


@dataclass(frozen=True)
class Found:
    """What the host has."""

    holders: Mapping[int, Holder]
    free_mib: int
    memory_mib: int
    previous: str


@dataclass(frozen=True)
class Wanted:
    """What the server asks for."""

    unit: str
    ports: Mapping[str, int]
    root: str
    min_free_mib: int
    memory_mib: int
    version: str
    system: str
    java: Mapping[str, str]


def refusals(wanted: Wanted, found: Found) -> list[str]:
    """Give every reason why the server could not run there; pure."""
    reasons = []
    if wanted.system not in wanted.java:
        known = ", ".join(wanted.java)
        reasons.append(
            f"questdb_release.java: no Java for {wanted.system}, which the host runs, was tested with QuestDB "
            f"{wanted.version}, only for {known}; test one and add it"
        )
    for variable, port in wanted.ports.items():
        holder = found.holders.get(port)
        if holder and holder.unit != wanted.unit:
            who = f"{holder.name} (pid {holder.pid})" if holder.pid else holder.name
            reasons.append(f"{variable}: port {port} is in use by {who}; stop that or choose another port")
    if found.free_mib < wanted.min_free_mib:
        reasons.append(
            f"questdb_root: {found.free_mib} MiB free where {wanted.root} is, questdb_min_free_mib asks for "
            f"{wanted.min_free_mib}; make room or move the data"
        )
    if found.memory_mib < wanted.memory_mib:
        reasons.append(
            f"questdb_heap_mib + questdb_native_mib: {wanted.memory_mib} MiB asked for, "
            f"the host has {found.memory_mib}; lower them"
        )
    if found.previous and found.previous.split(".")[0] != wanted.version.split(".")[0]:
        reasons.append(
            f"questdb_release.version: the data in {wanted.root} was last opened by {found.previous}, "
            f"{wanted.version} has another major version and could not hand it back; "
            "keep the major, or export the data into an empty questdb_root"
        )
    return reasons


def listening(tables: Iterable[str]) -> dict[int, str]:
    """Read the kernel's TCP tables: port to socket inode, for listeners that hold the loopback address."""
    found = {}
    for table in tables:
        for line in table.splitlines()[1:]:
            words = line.split()
            address, _, port = words[1].rpartition(":")
            if words[3] == LISTEN and address in CLAIMS_LOOPBACK:
                found[int(port, 16)] = words[9]
    return found


def unit_of(cgroup: str) -> str:
    """Read /proc/PID/cgroup: the unit a process belongs to, empty for none."""
    for part in reversed(cgroup.strip().splitlines()[-1:]):
        for name in reversed(part.split("/")):
            if name.endswith((".service", ".scope")):
                return name
    return ""


def open_files(process: Path) -> Iterator[str]:
    """What the descriptors of a process point to; nothing once it has ended."""
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                yield str(descriptor.readlink())


def read_holders(ports: Iterable[int], proc: Path = Path("/proc")) -> dict[int, Holder]:
    """Find who listens on the ports."""
    sockets = listening(path.read_text() for path in (proc / "net/tcp", proc / "net/tcp6") if path.exists())
    wanted = {f"socket:[{sockets[port]}]": port for port in ports if port in sockets}
    # A socket that no visible process holds still blocks the port.
    holders = {port: Holder("another process", 0, "") for port in wanted.values()}
    for process in proc.glob("[0-9]*") if wanted else ():
        for link in wanted.keys() & set(open_files(process)):
            with contextlib.suppress(OSError):
                name = (process / "comm").read_text().strip()
                holders[wanted[link]] = Holder(name, int(process.name), unit_of((process / "cgroup").read_text()))
    return holders


def read_free_mib(root: Path) -> int:
    """Room on the file system that holds the directory, or that would hold it."""
    while not root.exists():
        root = root.parent
    state = os.statvfs(root)
    return state.f_bavail * state.f_frsize // MIB


def read_memory_mib(meminfo: str) -> int:
    """Read /proc/meminfo: the memory of the host."""
    return int(meminfo.partition("MemTotal:")[2].split(maxsplit=1)[0]) // 1024


def read_previous(root: Path) -> str:
    """Version that last opened the data, as the role has recorded it beside the data; empty for none."""
    try:
        return str(json.loads((root / RELEASE).read_text())["version"])
    except FileNotFoundError:
        return ""


def is_installed(jar: Path, sha256: str) -> bool:
    """Whether the file is there with this checksum."""
    try:
        with jar.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def look(options: Mapping[str, Any]) -> tuple[Wanted, Found]:
    """Read the host's state."""
    root = Path(options["root"])
    ports = {name: int(port) for name, port in options["ports"].items()}
    wanted = Wanted(
        options["unit"],
        ports,
        str(root),
        options["min_free_mib"],
        options["memory_mib"],
        options["version"],
        options["system"],
        options["java"],
    )
    found = Found(
        read_holders(ports.values()),
        read_free_mib(root),
        read_memory_mib(Path("/proc/meminfo").read_text()),
        read_previous(root),
    )
    return wanted, found


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "ports": {"type": "dict", "required": True},
            "root": {"type": "path", "required": True},
            "min_free_mib": {"type": "int", "required": True},
            "memory_mib": {"type": "int", "required": True},
            "version": {"type": "str", "required": True},
            "jar": {"type": "path", "required": True},
            "sha256": {"type": "str", "required": True},
            "system": {"type": "str", "required": True},
            "java": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        wanted, found = look(options)
        installed = is_installed(Path(options["jar"]), options["sha256"])
    except (OSError, ValueError, KeyError) as error:
        module.fail_json(msg=f"cannot examine the host: {error!r}")
    module.exit_json(changed=False, problems=refusals(wanted, found), installed=installed, previous=found.previous)


if __name__ == "__main__":
    main()
