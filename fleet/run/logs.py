# SPDX-License-Identifier: Apache-2.0
"""Where a run puts Ansible's and pytest's own words: one file a run, in the clone's `build/logs`."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fleet.errors import UserError
from fleet.paths import BUILD

LOGS = BUILD / "logs"


def new(name: str, folder: Path = LOGS) -> Path:
    """Return the path of a log that does not exist yet, in a folder that does.

    Args:
        name: what runs.
        folder: where logs lie.

    Raises:
        UserError: an earlier run as root made a folder that the caller may not write.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise _not_yours(Path(error.filename)) from error
    if not os.access(folder, os.W_OK):
        raise _not_yours(folder)
    # Two runs may begin in one second.
    return folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"


def _not_yours(place: Path) -> UserError:
    return UserError(
        f"{place} cannot be written by you: a run with sudo made it. Use sudo here too, give it back with "
        f'`sudo chown -R "$USER" {BUILD.name}`, or keep a clone for each'
    )
