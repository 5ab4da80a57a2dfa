# SPDX-License-Identifier: Apache-2.0
"""Decide for the role onload: which hosts cannot work, and what a unit and a profile look like."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
name: onload_host_problems
short_description: Name what of the role onload cannot work on a host
description:
  - Takes what onload-probe.py found on a host; returns one line a problem.
options:
  _input:
    description: What it printed, parsed.
    type: dict
    required: true
  distribution: {description: Debian or Ubuntu., type: str, required: true}
  version: {description: Its version., type: str, required: true}
  adapters: {description: The list onload_adapters., type: list, elements: str, required: true}
"""

EXAMPLES = r"""
problems: "{{ found | onload_host_problems('Debian', '13', onload_adapters) }}"
"""

RETURN = r"""
_value:
  description: One line a problem.
  type: list
  elements: str
"""

# Release notes of Onload 9.2: what it supports, and that 9.2.0 removed Ubuntu 22.04.
SYSTEMS = {"Ubuntu": ("24.04", "26.04"), "Debian": ("12", "13")}
KERNELS = ((5, 11), (7, 0))
PROFILES = "/usr/libexec/onload/profiles"


def onload_release(packages: Sequence[Mapping[str, str]]) -> str:
    """Return a short name for exactly these files, the same for the same checksums in any order."""
    return hashlib.sha256("".join(sorted(entry["sha256"] for entry in packages)).encode()).hexdigest()[:16]


def onload_on_host(packages: Sequence[Mapping[str, str]], folder: str) -> list[dict[str, str]]:
    """Return the pinned files as they lie in a folder of the host."""
    return [{"path": f"{folder}/{Path(entry['file']).name}", "sha256": entry["sha256"]} for entry in packages]


def _kernel_problems(host: Mapping[str, Any]) -> list[str]:
    """Name what is wrong with the running kernel."""
    kernel = host["kernel"]
    low, high = (".".join(map(str, version)) for version in KERNELS)
    version = tuple(int(number) for number in re.findall(r"\d+", kernel)[:2])
    problems = []
    if not KERNELS[0] <= version <= KERNELS[1]:
        problems.append(
            f"kernel {kernel} is outside {low} to {high}, what Onload 9.2 supports: boot one that is inside"
        )
    if host["realtime"]:
        problems.append(
            f"kernel {kernel} is a PREEMPT_RT kernel, and Onload 9.2 supports none: kernel_flavour: generic"
        )
    if not host["headers"]:
        problems.append(
            f"the headers of the running kernel {kernel} are neither installed nor in the archive: without "
            f"linux-headers-{kernel} DKMS builds nothing; boot a kernel that the archive still has"
        )
    return problems


def drives(adapters: Sequence[str], identities: Sequence[str]) -> bool:
    """Tell whether one of some PCI ids (vendor:device) is a card of onload_adapters."""
    patterns = [re.compile(pattern.replace("*", "[0-9a-f]{4}")) for pattern in adapters]
    return any(pattern.fullmatch(identity) for pattern in patterns for identity in identities)


def _adapter_problems(host: Mapping[str, Any], adapters: Sequence[str]) -> list[str]:
    """Name what is wrong with card and firmware."""
    problems = []
    if not drives(adapters, host["pci"]):
        problems.append(
            f"the host has no card for Onload (PCI id {', '.join(adapters)}): see lspci -nn; or empty onload_packages"
        )
    if host["secure_boot"] and not host["signing_key_enrolled"]:
        problems.append(
            "Secure Boot is on and no enrolled key signs what DKMS builds, so the kernel would refuse the driver: "
            "mokutil --import /var/lib/dkms/mok.pub, reboot, confirm in the firmware's menu"
        )
    return problems


def onload_unknown_profiles(shipped: Sequence[str], services: Mapping[str, str], own: Mapping[str, Any]) -> list[str]:
    """Name the profiles in use that neither the release ships nor the inventory describes.

    Args:
        shipped: Profiles of the installed release; none before the first installation, and then names are not checked.
        services: The variable onload_services, unit -> profile.
        own: The variable onload_profiles.

    Returns:
        One line a problem.
    """
    wanted = {f"onload_services.{unit}": name for unit, name in services.items()}
    wanted |= {f"onload_profiles.{name}.based_on": base for name in own if (base := own[name].get("based_on"))}
    known = {*shipped, *own}
    return [
        f"{where} is '{name}': {PROFILES} has {', '.join(sorted(known))}"
        for where, name in wanted.items()
        if shipped and name not in known
    ]


def onload_host_problems(
    host: Mapping[str, Any], distribution: str, version: str, adapters: Sequence[str]
) -> list[str]:
    """Name what cannot work on a host.

    Args:
        host: What onload-probe found there.
        distribution: Debian or Ubuntu.
        version: Its version.
        adapters: The variable onload_adapters.

    Returns:
        One line a problem.
    """
    problems = []
    if not any(version == known or version.startswith(f"{known}.") for known in SYSTEMS.get(distribution, ())):
        systems = "; ".join(f"{name} {' and '.join(versions)}" for name, versions in SYSTEMS.items())
        problems.append(
            f"{distribution} {version} is not supported by Onload 9.2 ({systems}); Ubuntu 22.04 needs Onload 9.1"
        )
    problems += [
        f"{line}: a global preload puts every process under Onload; remove it, the wrapper preloads per service"
        for line in host["preloads"]
    ]
    problems += [
        f"{path} is left of an installation by onload_install, which hides the packages: run onload_uninstall first"
        for path in host["leftovers"]
    ]
    return problems + _kernel_problems(host) + _adapter_problems(host, adapters)


def onload_exec(services: Mapping[str, str], unit: str) -> str:
    """Return what stands before the command in a unit's ExecStart=, empty for a unit without Onload.

    Args:
        services: The variable onload_services, unit -> profile.
        unit: Full name of the unit.

    Returns:
        The wrapper with the unit's profile and a space, or nothing.
    """
    return f"/usr/bin/onload --profile={services[unit]} " if unit in services else ""


def onload_profile(profile: Mapping[str, Any]) -> str:
    """Return an own profile in the wrapper's language.

    The wrapper's onload_set leaves alone what is set already, so own settings stand before the profile they refine.
    """
    lines = [f"onload_set {key} {value}" for key, value in sorted(profile.get("settings", {}).items())]
    lines += [f"onload_import {profile['based_on']}"] if profile.get("based_on") else []
    return "# Managed by Ansible (role onload).\n" + "".join(f"{line}\n" for line in lines)


def onload_files(services: Mapping[str, str], profiles: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the units' drop-ins and the own profiles, as file_set takes them."""
    own = [{"path": f"{PROFILES}/{name}.opf", "content": onload_profile(profiles[name])} for name in sorted(profiles)]
    return own + [
        {"path": f"/etc/systemd/system/{unit}.d/10-onload.conf", "template": "10-onload.conf.j2"}
        for unit in sorted(services)
    ]


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "onload_exec": onload_exec,
            "onload_files": onload_files,
            "onload_host_problems": onload_host_problems,
            "onload_on_host": onload_on_host,
            "onload_release": onload_release,
            "onload_unknown_profiles": onload_unknown_profiles,
        }
