#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Role onload: print as JSON what decides whether Onload can work on this host. Changes nothing, needs no package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

# UEFI specification: the variable's first four bytes are attributes, the fifth is the state.
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where Debian's dkms and Ubuntu's shim-signed keep the key that DKMS signs with.
SIGNING_KEYS = ("var/lib/dkms/mok.pub", "var/lib/shim-signed/mok/MOK.der")
# Every process reads the first; logins, sessions and units read the others.
PRELOAD_FILES = (
    "etc/ld.so.preload",
    "etc/environment",
    "etc/environment.d/*.conf",
    "etc/profile",
    "etc/profile.d/*.sh",
    "etc/systemd/system.conf",
    "etc/systemd/system.conf.d/*.conf",
)
WRAPPER = "usr/bin/onload"


def text(path: Path) -> str:
    """Return a file's content, empty if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def output(*words: str) -> str:
    """Return what a command prints, empty if it is not installed."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""


def pci_ids(root: Path) -> list[str]:
    """Return vendor:device of every PCI function."""
    devices = sorted((root / "sys/bus/pci/devices").glob("*"))
    return [
        f"{text(device / 'vendor').removeprefix('0x')}:{text(device / 'device').removeprefix('0x')}"
        for device in devices
    ]


def preloads(root: Path) -> list[str]:
    """Return each line that preloads Onload into every process, session or unit, with its file."""
    paths = [path for pattern in PRELOAD_FILES for path in sorted(root.glob(pattern))]
    lines = [(path, line.strip()) for path in paths for line in text(path).splitlines()]
    return [
        f"/{path.relative_to(root)}: {line}"
        for path, line in lines
        if re.search("^[^#]*onload" if path.name == "ld.so.preload" else "^[^#]*LD_PRELOAD.*onload", line)
    ]


def secure_boot(root: Path) -> bool:
    """Whether the firmware checks signatures; a machine without UEFI does not."""
    try:
        return (root / SECURE_BOOT).read_bytes()[4:5] == b"\1"
    except OSError:
        return False


def signing_key_enrolled(root: Path) -> bool:
    """Whether the firmware knows a key that DKMS signs with."""
    keys = (root / key for key in SIGNING_KEYS)
    return any("already enrolled" in output("mokutil", "--test-key", str(key)) for key in keys if key.exists())


def leftovers(root: Path) -> list[str]:
    """Return what an installation from the tarball left: a folder of its own, or a wrapper that no package owns."""
    found = ["/opt/onload"] if (root / "opt/onload").exists() else []
    wrapper = root / WRAPPER
    return found + ([f"/{WRAPPER}"] if wrapper.exists() and not output("dpkg-query", "--search", str(wrapper)) else [])


def headers(root: Path, kernel: str) -> str:
    """Say where the running kernel's headers are: installed, in the archive, or nowhere (empty)."""
    if (root / f"lib/modules/{kernel}/build/Makefile").exists():
        return "installed"
    package = f"linux-headers-{kernel}"
    return "archive" if package in output("apt-cache", "pkgnames", package).split() else ""


def probe(root: Path, kernel: str, build: str) -> dict[str, Any]:
    """Return everything.

    Args:
        root: The root directory, another one in tests.
        kernel: Release of the running kernel.
        build: What the kernel says of its build, uname -v.

    Returns:
        What the filter onload_problems reads.
    """
    return {
        "kernel": kernel,
        "realtime": "PREEMPT_RT" in build,
        "headers": headers(root, kernel),
        "pci": pci_ids(root),
        "secure_boot": secure_boot(root),
        "signing_key_enrolled": signing_key_enrolled(root),
        "preloads": preloads(root),
        "leftovers": leftovers(root),
        "profiles": sorted(path.stem for path in (root / "usr/libexec/onload/profiles").glob("*.opf")),
    }


if __name__ == "__main__":
    json.dump(probe(Path("/"), os.uname().release, os.uname().version), sys.stdout)
