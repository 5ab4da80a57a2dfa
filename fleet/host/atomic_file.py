# SPDX-License-Identifier: Apache-2.0
"""Write a file in one step that survives a power cut."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_MODE = 0o755


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, open to everybody whatever the umask."""
    for folder in [*reversed(path.parents), path]:
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            folder.chmod(FOLDER_MODE)


def atomic_write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step: a reader, and the machine after a power cut, finds the old text or the new one.

    Args:
        path: the file; its folder is made when it is missing.
        text: whole content.
        mode: permissions of the new file.

    Raises:
        OSError: the file cannot be written; what was there before is still there.
    """
    make_folder(path.parent)
    # A leading dot: no reader of a drop-in folder takes the file for one of its own.
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        # The mode above counts for a new file only, and less the umask.
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file, also for a machine that loses power now; one that is absent is no error."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
