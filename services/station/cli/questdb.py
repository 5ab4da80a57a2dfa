# SPDX-License-Identifier: Apache-2.0
"""How commands reach QuestDB: as the recorder of this host does, if they are told nothing else."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from station.cli.words import credentials
from station.config import RecorderService, load
from station.config.recorder import QuestDB
from station.errors import StationError
from station.feeds.credentials import read_token

RECORDER = Path("/etc/station/services/journal.yml")


@dataclass(frozen=True, slots=True)
class Access:
    """Where QuestDB's HTTP server is and who we are to it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    said = f"as the recorder's file has it, {RECORDER}"
    parser.add_argument("--questdb", metavar="HOST:PORT", help=f"QuestDB's HTTP server ({said})")
    parser.add_argument("--questdb-user", metavar="NAME", help=f"its user ({said})")
    parser.add_argument("--questdb-credential", metavar="NAME", help=f"credential with the password ({said})")


def access(arguments: argparse.Namespace) -> Access:
    """Return what the options say, and for the rest what the recorder's file says or what it would have as defaults.

    Raises:
        StationError: an address is none, the recorder's file is wrong, or the credential cannot be read.
    """
    known = _of_recorder()
    address = arguments.questdb or known.address
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise StationError(f'--questdb "{address}": write HOST:PORT, such as {known.address}')
    name = arguments.questdb_credential or known.password_file
    return Access(host, int(port), arguments.questdb_user or known.user, read_token(credentials(name) / name))


def _of_recorder() -> QuestDB:
    service = load(RECORDER) if RECORDER.exists() else None
    return service.questdb if isinstance(service, RecorderService) else QuestDB()
