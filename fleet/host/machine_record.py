# SPDX-License-Identifier: Apache-2.0
"""Records of what was done on this machine, which count on no other: not on a restored disk, and not on a clone."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleet.host.atomic_file import atomic_write, remove
else:
    from ansible.module_utils.atomic_file import atomic_write, remove

MACHINE = "machine"
FOREIGN = ".of-another-machine"
# A restored /etc brings its machine-id along, a cloned disk all of its files: file system and board tell those.
SOURCES = ("/etc/machine-id", "/sys/class/dmi/id/product_uuid", "/sys/class/dmi/id/board_serial")


def identity(root: Path = Path("/")) -> str:
    """Return the name of this machine in its records: of its installation, its board and its root file system.

    Args:
        root: folder that stands for the machine's root, in tests another.
    """
    parts = [_text(root / name.lstrip("/")) for name in SOURCES]
    parts.append(_root_uuid(root))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _text(path: Path) -> str:
    # Boards that have no number, and machines that are no PCs, have no such file.
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _root_uuid(root: Path) -> str:
    """Return the UUID of the root file system, "" where it lies on no disk of its own, as in a container."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        # proc_pid_mountinfo(5): number, parent, major:minor, root, mount point ... - type, source, options.
        fields = line.split()
        if fields[4] == "/":
            numbers, source = fields[2], fields[fields.index("-") + 2]
            return _by_uuid(root, numbers, source)
    return ""


def _by_uuid(root: Path, numbers: str, source: str) -> str:
    device = (root / source.lstrip("/")).resolve()
    for link in sorted((root / "dev/disk/by-uuid").glob("*")):
        # btrfs shows numbers of no device, and some kernels a source of no name.
        with contextlib.suppress(OSError):
            found = link.stat().st_rdev
            if link.resolve() == device or f"{os.major(found)}:{os.minor(found)}" == numbers:
                return link.name
    return ""


def sealed(data: Mapping[str, Any], machine: str) -> str:
    """Return the text of a record that belongs to a machine."""
    return json.dumps({**data, MACHINE: machine}, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Found:
    """What a record says, None when it is absent, damaged or another machine's; and whether it is another machine's."""

    data: dict[str, Any] | None = None
    foreign: bool = False


def opened(text: str, machine: str) -> Found:
    """Read the text of a record, "" when it is absent, on the machine of that `identity`."""
    try:
        data = json.loads(text)
        owner = data.pop(MACHINE, "")
    except (ValueError, TypeError, AttributeError):
        return Found()
    return Found(data) if owner == machine else Found(foreign=True)


def set_aside(path: Path) -> None:
    """Keep another machine's record, a file or a folder, under a name that says so; an older one there gives way."""
    aside = path.with_name(path.name + FOREIGN)
    if aside.is_dir():
        shutil.rmtree(aside)
    path.replace(aside)


@dataclass(frozen=True)
class Records:
    """The records of one kind in their folder, on the machine of that `identity`."""

    folder: Path
    machine: str

    def read(self, name: str) -> Found:
        """Read a record."""
        try:
            return opened((self.folder / name).read_text(encoding="utf-8", errors="replace"), self.machine)
        except OSError:
            return Found()

    def write(self, name: str, data: Mapping[str, Any]) -> None:
        """Replace a record in one step; root alone reads it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write(self.folder / name, sealed(data, self.machine), 0o600)

    def remove(self, name: str) -> None:
        """Forget a record."""
        remove(self.folder / name)
