# SPDX-License-Identifier: Apache-2.0
"""Decide for the role onload: which packages and hosts cannot work, and what a unit and a profile look like."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
name: onload_package_problems
short_description: Name what is wrong with the pinned files on the control machine
description:
  - Reads the files of onload_packages on the control machine and compares their SHA-256; returns one line a problem.
options:
  _input:
    description: The list onload_packages.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
problems: "{{ onload_packages | onload_package_problems }}"
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
PACKAGES = ("onload-user", "onload-dkms")
PROFILES = "/usr/libexec/onload/profiles"
SOURCE = (".tgz", ".tar.gz")
# A profile is a piece of shell that the wrapper reads: only plain words get into it.
PLAIN_WORD = re.compile(r"[A-Za-z0-9_.,:/+-]+")


def _sha256(path: Path) -> str:
    """Return a file's checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_problem(number: int, entry: Mapping[str, str]) -> str | None:
    """Say what is wrong with one pinned file."""
    where, path, pinned = f"onload_packages[{number}]", Path(entry["file"]).expanduser(), entry["sha256"]
    if not re.fullmatch(r"[0-9a-f]{64}", pinned):
        return f"{where}.sha256 is '{pinned}': 64 lower-case hexadecimal digits, as sha256sum prints them"
    if not path.is_file():
        return f"{where}.file is {entry['file']}, which is no file on the control machine: fetch it from the vendor"
    found = _sha256(path)
    if found != pinned:
        return (
            f"{where}.file {entry['file']} has sha256 {found}, pinned is {pinned}: it is not the file that was approved"
        )
    return None


def onload_package_problems(packages: Sequence[Mapping[str, str]]) -> list[str]:
    """Name what is wrong with the pinned files.

    Args:
        packages: Entries with `file` and `sha256`.

    Returns:
        One line a problem.
    """
    names = [Path(entry["file"]).name for entry in packages]
    is_source = len(names) == 1 and names[0].endswith(SOURCE)
    is_pair = sorted(name.split("_")[0] for name in names) == sorted(PACKAGES) and all(
        n.endswith(".deb") for n in names
    )
    if names and not (is_source or is_pair):
        return [
            f"onload_packages names {', '.join(names)}: it takes the two packages {' and '.join(PACKAGES)} (.deb), "
            "or one source release (.tgz) from which the host builds them"
        ]
    problems = (_file_problem(number, entry) for number, entry in enumerate(packages))
    return [problem for problem in problems if problem]


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


def _adapter_problems(host: Mapping[str, Any], adapters: Sequence[str]) -> list[str]:
    """Name what is wrong with card and firmware."""
    problems = []
    if not any(
        re.fullmatch(pattern.replace("*", "[0-9a-f]{4}"), found) for pattern in adapters for found in host["pci"]
    ):
        problems.append(
            f"the host has no card for Onload (PCI id {', '.join(adapters)}): see lspci -nn; or empty onload_packages"
        )
    if host["secure_boot"] and not host["signing_key_enrolled"]:
        problems.append(
            "Secure Boot is on and no enrolled key signs what DKMS builds, so the kernel would refuse the driver: "
            "mokutil --import /var/lib/dkms/mok.pub, reboot, confirm in the firmware's menu"
        )
    return problems


def onload_profile_problems(settings: Mapping[str, Any], shipped: Sequence[str]) -> list[str]:
    """Name what is wrong with profiles and the services that use them.

    Args:
        settings: The variables onload_services and onload_profiles.
        shipped: Profiles of the installed release; none before the first installation, and then names are not checked.

    Returns:
        One line a problem.
    """
    own, problems = settings["onload_profiles"], []
    for name, profile in own.items():
        if not re.fullmatch(r"fleet-[a-z0-9-]+", name):
            problems.append(
                f"onload_profiles.{name}: an own profile is named fleet-..., so that it hides none of the vendor's"
            )
        problems += [
            f"onload_profiles.{name}: {key}={value} is not a setting of Onload (EF_...) with a plain value"
            for key, value in profile.get("settings", {}).items()
            if not re.fullmatch(r"EF_[A-Z0-9_]+", key) or not PLAIN_WORD.fullmatch(str(value))
        ]
    wanted = {f"onload_services.{unit}": name for unit, name in settings["onload_services"].items()}
    wanted |= {f"onload_profiles.{name}.based_on": base for name in own if (base := own[name].get("based_on"))}
    problems += [
        f"{where} is '{name}': {PROFILES} has {', '.join(sorted({*shipped, *own}))}"
        for where, name in wanted.items()
        if shipped and name not in {*shipped, *own}
    ]
    problems += [
        f"onload_services names '{unit}': the full name of a service, as station@execution.service"
        for unit in settings["onload_services"]
        if not re.fullmatch(r"[A-Za-z0-9:_.@-]+\.service", unit)
    ]
    return problems


def onload_problems(settings: Mapping[str, Any], host: Mapping[str, Any]) -> list[str]:
    """Name what cannot work on a host.

    Args:
        settings: The role's variables, distribution and version.
        host: What onload-probe found there.

    Returns:
        One line a problem.
    """
    distribution, version = settings["distribution"], settings["version"]
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
    problems += _kernel_problems(host) + _adapter_problems(host, settings["onload_adapters"])
    return problems + onload_profile_problems(settings, host["profiles"])


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


def onload_files(services: Mapping[str, str], profiles: Mapping[str, Any], drop_in: str) -> list[dict[str, str]]:
    """Return the units' drop-ins and the own profiles, as the module file_set takes them."""
    own = [{"path": f"{PROFILES}/{name}.opf", "content": onload_profile(profiles[name])} for name in sorted(profiles)]
    return own + [
        {"path": f"/etc/systemd/system/{unit}.d/10-onload.conf", "content": drop_in} for unit in sorted(services)
    ]


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "onload_exec": onload_exec,
            "onload_files": onload_files,
            "onload_on_host": onload_on_host,
            "onload_package_problems": onload_package_problems,
            "onload_problems": onload_problems,
            "onload_profile_problems": onload_profile_problems,
            "onload_release": onload_release,
        }
