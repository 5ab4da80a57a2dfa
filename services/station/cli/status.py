# SPDX-License-Identifier: Apache-2.0
"""`station status`: every stream at a glance."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from station import config, status
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.cli.words import Verbs, credentials, verb
from station.clock import SystemClock
from station.config import RecorderService
from station.config.base import Redis
from station.errors import StationError
from station.feeds.credentials import read_token
from station.feeds.report import table

SERVICES = Path("/etc/station/services")


def add(verbs: Verbs) -> None:
    """Add the command."""
    made = verb(
        verbs, "status", "show every stream: rate, length, head, age, and how far its readers are behind", _status
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--seconds", type=float, default=1.0, help="how long to look for the rate (1)")
    made.add_argument(
        "--services",
        type=Path,
        default=SERVICES,
        help=f"folder of the services, whose recorder's user is taken ({SERVICES})",
    )


def _status(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.seconds <= 3600:
        raise StationError(f"--seconds {arguments.seconds}: take more than 0 and no more than an hour")
    with closing(RedisBus(_server(arguments.services))) as bus:
        streams = status.look(bus, SystemClock(), arguments.seconds)
    if arguments.json:
        sys.stdout.write(json.dumps([stream.as_json() for stream in streams]) + "\n")
    else:
        sys.stdout.write((table(status.HEADINGS, status.rows(streams)) if streams else "no streams") + "\n")
    return 0


def _server(folder: Path) -> Server:
    # The recorder's user reads every stream.
    services = [config.load(file) for file in sorted(folder.glob("*.yml"))]
    found = [service.redis for service in services if isinstance(service, RecorderService)]
    if not found:
        raise StationError(
            f"{folder}: no recorder there, whose user reads every stream; name its folder with --services"
        )
    redis: Redis = found[0]
    password = read_token(credentials(redis.password_file) / redis.password_file)
    return Server(Path(redis.socket), redis.user, password)
