# SPDX-License-Identifier: Apache-2.0
"""What the role onload refuses of its variables, without a host."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.model import unit_names
from fleet.model.rules import Refusal
from fleet.model.settings import UnrenderableError
from fleet.model.view import View
from roles.onload.filter_plugins.onload_settings import drives

PACKAGES = ("onload-user", "onload-dkms")
SOURCE = (".tgz", ".tar.gz")
ADAPTER = re.compile(r"([0-9a-f]{4}|\*):([0-9a-f]{4}|\*)")
CHECKSUM = re.compile(r"[0-9a-f]{64}")
# A profile is a piece of shell that the wrapper reads: only plain words get into it.
PLAIN_WORD = re.compile(r"[A-Za-z0-9_.,:/+-]+")
PROFILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
OWN = re.compile(r"fleet-[a-z0-9-]+")
SETTING = re.compile(r"EF_[A-Z0-9_]+")
PARTS = ("settings", "based_on")


def onload_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; network ports count here.
        fleet: asked for the host's kernel and its units.
    """
    host, packages = str(settings["inventory_hostname"]), settings["onload_packages"]
    yield from package_refusals(packages)
    yield from _adapters(settings["onload_adapters"], hardware.get("nics") or (), bool(packages and hardware))
    if packages and _of(fleet, host, "kernel_flavour") == "realtime":
        wrong = "Onload 9.2 supports no realtime kernel, and kernel_flavour is realtime"
        yield Refusal("onload_packages", wrong, "write kernel_flavour: generic, or remove the files")
    yield from _profiles(settings["onload_profiles"])
    yield from _services(settings["onload_services"], settings["onload_profiles"], host, fleet)
    if settings["onload_services"] and not packages:
        wrong = "names units, and onload_packages no files: without Onload their commands would not start"
        yield Refusal("onload_services", wrong, "name the files, or remove the units")


def _of(fleet: View, host: str, key: str) -> Any:
    try:
        return fleet.settings(host).get(key)
    except UnrenderableError:
        return None  # the check of values reports it


def package_refusals(packages: list[dict[str, Any]]) -> Iterator[Refusal]:
    """Yield what is wrong with the pinned files, which are on this machine.

    Args:
        packages: entries with `file` and `sha256` (onload_packages).
    """
    names = [Path(str(entry["file"])).name for entry in packages]
    is_source = len(names) == 1 and names[0].endswith(SOURCE)
    is_pair = sorted(name.split("_")[0] for name in names) == sorted(PACKAGES) and all(
        name.endswith(".deb") for name in names
    )
    if names and not (is_source or is_pair):
        right = f"give {' and '.join(PACKAGES)} (.deb), or one source release (.tgz) from which the host builds them"
        yield Refusal("onload_packages", f"names {', '.join(names)}, which are not the packages of a release", right)
        return
    for position, entry in enumerate(packages):
        yield from _file(f"onload_packages.{position}", str(entry["file"]), str(entry["sha256"]))


def _file(key: str, name: str, pinned: str) -> Iterator[Refusal]:
    if not CHECKSUM.fullmatch(pinned):
        right = "write 64 lower-case hexadecimal digits, as sha256sum prints them"
        yield Refusal(f"{key}.sha256", f"{pinned!r} is no SHA-256", right)
        return
    try:
        with Path(name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        wrong = f"{name} is no file on the control machine that can be read ({getattr(error, 'strerror', error)})"
        yield Refusal(f"{key}.file", wrong, "fetch it from the vendor")
        return
    if found != pinned:
        wrong = f"{name} has sha256 {found}, pinned is {pinned}"
        yield Refusal(f"{key}.file", wrong, "it is not the file that was approved: fetch it again, or pin the new one")


def _adapters(adapters: list[str], nics: Any, wanted: bool) -> Iterator[Refusal]:
    wrong = [position for position, adapter in enumerate(adapters) if not ADAPTER.fullmatch(adapter)]
    for position in wrong:
        right = "write vendor:device as `lspci -n` prints it, or * for any device, such as 1924:*"
        yield Refusal(f"onload_adapters.{position}", f"{adapters[position]!r} is no PCI id", right)
    identities = [str(nic.get("pci_id")).lower() for nic in nics]
    if wanted and not wrong and not drives(adapters, identities):
        words = f"hardware.nics has no card for Onload (PCI id {', '.join(adapters) or 'none'})"
        yield Refusal("onload_packages", words, "describe the card, or remove the files")


def _profiles(profiles: Mapping[str, Any]) -> Iterator[Refusal]:
    for name, profile in profiles.items():
        key = f"onload_profiles.{name}"
        if not OWN.fullmatch(str(name)):
            yield Refusal(key, "hides a profile of the vendor's", "name an own profile fleet-...")
        if not isinstance(profile, Mapping):
            yield Refusal(key, "is no description of a profile", "give it settings and based_on")
            continue
        yield from (
            Refusal(f"{key}.{part}", "is an unknown key", f"a profile has {' and '.join(PARTS)}")
            for part in profile
            if part not in PARTS
        )
        yield from _settings(f"{key}.settings", profile.get("settings"))
        yield from _base(f"{key}.based_on", str(name), profiles)


def _settings(key: str, wanted: Any) -> Iterator[Refusal]:
    if wanted is not None and not isinstance(wanted, Mapping):
        yield Refusal(key, "is no dictionary", "write EF_NAME: value")
        return
    for name, value in (wanted or {}).items():
        if not SETTING.fullmatch(str(name)):
            yield Refusal(f"{key}.{name}", f"{name} is not a setting of Onload", "they begin with EF_")
        elif isinstance(value, bool) or not PLAIN_WORD.fullmatch(str(value)):
            yield Refusal(f"{key}.{name}", f"{value!r} is no plain value", "write a number or a plain word, such as 1")


def _base(key: str, name: str, profiles: Mapping[str, Any]) -> Iterator[Refusal]:
    base = profiles[name].get("based_on")
    if not base:
        return
    yield from _known(key, base, profiles)
    seen = [name]
    while isinstance(base, str) and isinstance(profiles.get(base), Mapping):
        if base in seen:
            yield Refusal(key, f"comes back to {base}: {' -> '.join([*seen, base])}", "base it on a vendor's profile")
            return
        seen.append(base)
        base = profiles[base].get("based_on")


def _known(key: str, name: Any, profiles: Mapping[str, Any]) -> Iterator[Refusal]:
    if not isinstance(name, str) or not PROFILE.fullmatch(name):
        yield Refusal(key, f"{name!r} is no name of a profile", "write one such as latency")
    elif OWN.fullmatch(name) and name not in profiles:
        yield Refusal(key, f"there is no profile {name}", f"onload_profiles has {', '.join(profiles) or 'none'}")


def _services(services: Mapping[str, Any], profiles: Mapping[str, Any], host: str, fleet: View) -> Iterator[Refusal]:
    for unit, profile in services.items():
        key = f"onload_services.{unit}"
        yield from unit_names.service(key, str(unit), host, fleet)
        yield from _known(key, profile, profiles)
