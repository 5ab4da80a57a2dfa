# SPDX-License-Identifier: Apache-2.0
"""How commands reach QuestDB."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

from station.cli.words import credentials
from station.errors import StationError
from station.feeds.credentials import read_token

ADDRESS = "127.0.0.1:9000"
USER = "writer"
CREDENTIAL = "questdb-http"


@dataclass(frozen=True, slots=True)
class Access:
    """Where QuestDB's HTTP server is and who we are to it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--questdb", default=ADDRESS, metavar="HOST:PORT", help=f"QuestDB's HTTP server ({ADDRESS})")
    parser.add_argument("--questdb-user", default=USER, metavar="NAME", help=f"its user ({USER})")
    parser.add_argument(
        "--questdb-credential", default=CREDENTIAL, metavar="NAME", help=f"credential with the password ({CREDENTIAL})"
    )


def access(arguments: argparse.Namespace) -> Access:
    """Return what the options say.

    Raises:
        StationError: an address is none, or the credential cannot be read.
    """
    host, _, port = arguments.questdb.rpartition(":")
    if not host or not port.isdecimal():
        raise StationError(f'--questdb "{arguments.questdb}": write HOST:PORT, such as {ADDRESS}')
    name = arguments.questdb_credential
    return Access(host, int(port), arguments.questdb_user, read_token(credentials(name) / name))
