# SPDX-License-Identifier: Apache-2.0
"""What several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from station.errors import StationError

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

# Where systemd looks for LoadCredential= without a path, and where the roles put them.
STORES = (Path("/run/credstore"), Path("/etc/credstore"))


def group(verbs: Verbs, name: str, meaning: str) -> Verbs:
    """Add a word that others follow, and return what takes those."""
    return verbs.add_parser(name, help=meaning, description=meaning).add_subparsers(required=True, metavar="COMMAND")


def verb(
    verbs: Verbs, name: str, meaning: str, do: Callable[[argparse.Namespace], int], statuses: str = ""
) -> argparse.ArgumentParser:
    """Add a command.

    Args:
        verbs: what takes it.
        name: the word.
        meaning: one line for its help.
        do: what is done with its arguments; returns the exit status.
        statuses: what 0 and 1 mean, if that is not plain.
    """
    made = verbs.add_parser(name, help=meaning, description=meaning, epilog=statuses or None)
    made.set_defaults(do=do)
    return made


def credentials(name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds a credential: the unit's own, else a store of the host.

    Raises:
        StationError: no folder has it that this user may read.
    """
    own = environment.get("CREDENTIALS_DIRECTORY")
    folders = [Path(own)] if own else list(STORES)
    for folder in folders:
        if os.access(folder / name, os.R_OK):
            return folder
    where = " or ".join(map(str, folders))
    raise StationError(f'no credential "{name}" that you may read in {where}; run the command as root')
