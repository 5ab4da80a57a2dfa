# SPDX-License-Identifier: Apache-2.0
"""`station run`: what a unit starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from station.cli.words import Verbs, verb


def add(verbs: Verbs) -> None:
    """Add the command."""
    made = verb(
        verbs,
        "run",
        "run a service until it is told to stop",
        _run,
        "exit status 0: stopped in good order; 1: failed, a new start may help; 2: a person has to mend something",
    )
    made.add_argument("file", type=Path, metavar="FILE")


def _run(arguments: argparse.Namespace) -> int:
    # Late: it brings vendors, database and metrics with it, which no other command needs.
    from station.runtime.start import run  # noqa: PLC0415

    return run(arguments.file)
