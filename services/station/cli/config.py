# SPDX-License-Identifier: Apache-2.0
"""`station config`: is it right, and where is each value from?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from station import config
from station.cli.words import Verbs, group, verb
from station.feeds.report import table


def add(verbs: Verbs) -> None:
    """Add the commands."""
    own = group(verbs, "config", "check and show the configuration of services")
    check = verb(
        own,
        "check",
        "say what is wrong with files of services; several, or a folder, are checked as those of one host",
        _check,
        "exit status 1: something is wrong",
    )
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    show = verb(own, "show", "print each setting of a service and where its value is from", _show)
    show.add_argument("file", type=Path, metavar="FILE")


def _check(arguments: argparse.Namespace) -> int:
    problems = config.check(arguments.files)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return int(bool(problems))


def _show(arguments: argparse.Namespace) -> int:
    rows = [(value.key, value.value, value.source) for value in config.explain(arguments.file)]
    sys.stdout.write(table(("setting", "value", "from"), rows) + "\n")
    return 0
