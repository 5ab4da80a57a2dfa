# SPDX-License-Identifier: Apache-2.0
"""What is on a host, in words: a check that compares them tells what it found without a word of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from testinfra.host import Host


def unit(host: Host, name: str) -> str:
    """Return how a unit stands in systemd's words, such as "active, enabled" or "inactive, absent"."""
    shown = host.check_output("systemctl show --property=ActiveState,UnitFileState -- %s", name)
    found = dict(line.split("=", 1) for line in shown.splitlines())
    return f"{found['ActiveState']}, {found['UnitFileState'] or 'absent'}"


def kind(host: Host, path: str) -> str:
    """Return what a path leads to: "regular file", "directory", "socket" and so on, or "absent"."""
    found = host.run("stat --dereference --format=%%F -- %s", path)
    return found.stdout.strip().replace(" empty", "") if found.rc == 0 else "absent"


def owned(host: Host, path: str) -> str:
    """Return whose a path is and who may do what, such as "root:root 600"; "absent" if there is none."""
    found = host.run("stat --dereference --format='%%U:%%G %%a' -- %s", path)
    return found.stdout.strip() if found.rc == 0 else "absent"


def installed(host: Host, packages: Iterable[str]) -> set[str]:
    """Return which of some packages are installed."""
    return {name for name in packages if host.package(name).is_installed}


def exposure(host: Host, name: str) -> float:
    """Return what `systemd-analyze security` says of a unit, 0 to 10; a hardened one is at 2.0 or below."""
    text = host.check_output("systemd-analyze security --no-pager %s", name)
    return float(re.findall(r"exposure level for \S+: ([0-9.]+)", text)[0])


def refused(host: Host, command: str, *args: str) -> str:
    """Return what a command says that has to fail."""
    __tracebackhide__ = True
    result = host.run(command, *args)
    if result.rc == 0:
        shown = host.backend.quote(command, *args)[:100]
        raise AssertionError(f"`{shown}`: declared to be refused, ended with status 0")
    return str(result.stdout + result.stderr)
