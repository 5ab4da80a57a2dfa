# SPDX-License-Identifier: Apache-2.0
"""The packages that bring a host its kernel, its microcode, and what DKMS needs to build modules for that kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: kernel_packages
short_description: List the packages of a host's microcode and wanted kernel
description:
  - Takes what the module kernel_facts found. On a host with DKMS modules the kernel's headers belong to it; to the
    image of a pinned release belong the modules beside it, where the archive has such a package.
  - kernel_holds takes the same, and returns what to do so that exactly the pinned release's packages are held, and
    what somebody else holds stays held; a dictionary of hold, unhold and record, lists of packages.
options:
  _input:
    description: The facts.
    type: dict
    required: true
  wanted:
    description: version, flavour and distribution (ansible_facts) of the role.
    type: dict
    required: true
"""

EXAMPLES = r"""
packages: "{{ facts | kernel_packages({'version': '', 'flavour': 'realtime', 'distribution': 'Debian'}) }}"
"""

RETURN = r"""
_value:
  description: Names of packages.
  type: list
  elements: str
"""

# What always depends on the distribution's newest realtime kernel, and its headers. Ubuntu's needs Ubuntu Pro.
REALTIME = {
    "Debian": ("linux-image-rt-amd64", "linux-headers-rt-amd64"),
    "Ubuntu": ("linux-image-realtime", "linux-headers-realtime"),
}


def _pinned(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the packages of the pinned release, none when no release is pinned."""
    release = wanted["version"]
    if not release:
        return []
    # Without headers DKMS builds nothing, and says so in a log only.
    names = [f"linux-{kind}-{release}" for kind in (["image", "headers"] if facts["dkms"] else ["image"])]
    # Up to 6.17 a half of Ubuntu's drivers, network cards among them, is in a package of its own; 7.0 has one for all.
    extra = f"linux-modules-extra-{release}"
    return [*names, extra] if extra in facts["modules_extra"] else names


def kernel_packages(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the packages to install.

    Args:
        facts: what the module kernel_facts found.
        wanted: the role's wishes; see DOCUMENTATION.
    """
    microcode = facts["microcode"]
    names = [microcode["package"]] if microcode["candidate"] else []
    if wanted["flavour"] == "realtime" and not wanted["version"]:
        image, headers = REALTIME[wanted["distribution"]]
        return [*names, image, *([headers] if facts["dkms"] else [])]
    return [*names, *_pinned(facts, wanted)]


def kernel_holds(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return which packages to hold, which to let go, and which are recorded as held by this role.

    Args:
        facts: what the module kernel_facts found.
        wanted: the role's wishes; see DOCUMENTATION.
    """
    pinned, held, ours = set(_pinned(facts, wanted)), set(facts["held"]), set(facts["held_here"])
    return {
        "hold": sorted(pinned - held),
        "unhold": sorted((ours & held) - pinned),
        "record": sorted(pinned - (held - ours)),
    }


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"kernel_packages": kernel_packages, "kernel_holds": kernel_holds}
