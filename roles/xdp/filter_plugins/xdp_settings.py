# SPDX-License-Identifier: Apache-2.0
"""Decide for the role xdp: what a host cannot have, which packages it gets, and where the units' settings go."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

DOCUMENTATION = r"""
name: xdp_host_problems
short_description: Name what of the role xdp cannot work on a host
description:
  - Takes what the host said of its accounts and packages; returns one line a problem.
options:
  _input:
    description: Lines of the host - entries of passwd and group, and names of packages.
    type: list
    elements: str
    required: true
  distribution: {description: Debian or Ubuntu., type: str, required: true}
  version: {description: Its version., type: str, required: true}
  group: {description: The group that may use io_uring., type: str, required: true}
  gid: {description: Its number., type: int, required: true}
"""

EXAMPLES = r"""
problems: "{{ __xdp_host_result.stdout_lines | xdp_host_problems('Debian', '13', 'io-uring', 815) }}"
"""

RETURN = r"""
_value:
  description: One line a problem.
  type: list
  elements: str
"""

# The oldest release with libxdp and a libbpf (1.2) that can ask a driver for its XDP features.
OLDEST = {"Debian": (13,), "Ubuntu": (24, 4)}
# From 25.04 on Ubuntu has bpftool as a package; before, it is part of the kernel's tools.
UBUNTU_BPFTOOL = (25, 4)
PACKAGES = ("clang", "ethtool", "iproute2", "libbpf-dev", "libc6-dev", "libxdp-dev", "llvm", "make", "xdp-tools")
SYSTEM_IDS = range(100, 1000)


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, so that 9 comes before 13."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _entries(host: Sequence[str], fields: int) -> list[list[str]]:
    """Return the host's lines of one kind, split: passwd(5) has 7 fields, group(5) 4, the name of a package is one."""
    return [entry for line in host if len(entry := line.split(":")) == fields]


def xdp_host_problems(host: Sequence[str], distribution: str, version: str, group: str, gid: int) -> list[str]:
    """Name what a host cannot have.

    Args:
        host: Lines of the host: entries of passwd and group, names of packages.
        distribution: Debian or Ubuntu.
        version: Its version.
        group: The group that may use io_uring.
        gid: Its number.

    Returns:
        One line a problem.
    """
    problems = []
    if distribution not in OLDEST or _version(version) < OLDEST[distribution]:
        problems.append(
            f"{distribution} {version} has no libxdp and xdp-tools that this role can use: Debian 13 or Ubuntu 24.04"
        )
    for name, _, number, *_ in _entries(host, 4):
        if name == group and int(number) != gid:
            problems.append(
                f"xdp_io_uring_gid is {gid}, and the host's group {name} has number {number}: use that, or groupmod"
            )
        if name != group and int(number) == gid:
            problems.append(f"xdp_io_uring_gid is {gid}, which the host's group {name} has: choose a free number")
    for name, _, number, *_ in _entries(host, 7):
        if int(number) not in SYSTEM_IDS:
            problems.append(
                f"xdp_user is {name}, an account with number {number}: the engine needs a system user of its own"
            )
    return problems


def xdp_packages(host: Sequence[str], distribution: str, version: str, kernel: str) -> list[str]:
    """Return the packages of a host; those for the running kernel only where its archive has them.

    Args:
        host: Lines of the host, as for `xdp_host_problems`.
        distribution: Debian or Ubuntu.
        version: Its version.
        kernel: Release of the running kernel.

    Returns:
        Names, sorted.
    """
    names = set(PACKAGES)
    of_the_kernel = {f"linux-headers-{kernel}"}
    if distribution == "Ubuntu" and _version(version) < UBUNTU_BPFTOOL:
        names.add("linux-tools-common")
        of_the_kernel.add(f"linux-tools-{kernel}")
    else:
        names.add("bpftool")
    return sorted(names | of_the_kernel & {entry[0] for entry in _entries(host, 1)})


def xdp_drop_in(unit: str) -> dict[str, str]:
    """Return a unit's drop-in as file_set takes it."""
    return {"path": f"/etc/systemd/system/{unit}.d/10-xdp.conf", "template": "10-xdp.conf.j2"}


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"xdp_host_problems": xdp_host_problems, "xdp_packages": xdp_packages, "xdp_drop_in": xdp_drop_in}
