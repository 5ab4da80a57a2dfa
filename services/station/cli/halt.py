# SPDX-License-Identifier: Apache-2.0
"""`station halt`, `station resume`, `station halted`: the kill switch of this host."""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path

from station.cli.words import Verbs, verb
from station.clock import SystemClock
from station.halt import FOLDER, Latch


def add(verbs: Verbs) -> None:
    """Add the commands."""
    halt = verb(verbs, "halt", "deny every order of this host from now on, through reboots, until it is resumed", _halt)
    halt.add_argument("--reason", default="by hand", help="why, for whoever resumes")
    resume = verb(
        verbs, "resume", "let orders out again; asks for words that it prints", _resume, "exit status 1: still halted"
    )
    halted = verb(
        verbs,
        "halted",
        "say whether orders are denied, and why",
        _halted,
        "exit status 0: orders may go out; 1: they are denied, which is so too when nobody can tell",
    )
    for made in (halt, resume, halted):
        made.add_argument("--folder", type=Path, default=FOLDER, help=f"where the kill switch is ({FOLDER})")


def _halt(arguments: argparse.Namespace) -> int:
    decision = Latch(arguments.folder).engage(arguments.reason, getpass.getuser(), SystemClock())
    sys.stdout.write(f"orders are denied: {decision.reason}\n")
    return 0


def _resume(arguments: argparse.Namespace) -> int:
    latch = Latch(arguments.folder)
    words = latch.words()
    sys.stdout.write(f'orders are denied: {latch.allowed().reason}\nto let them out again type "{words}": ')
    sys.stdout.flush()
    typed = sys.stdin.readline().strip()
    if typed != words:
        sys.stdout.write("other words: still denied\n")
        return 1
    latch.release(typed)
    sys.stdout.write("orders may go out\n")
    return 0


def _halted(arguments: argparse.Namespace) -> int:
    decision = Latch(arguments.folder).allowed()
    sys.stdout.write("orders may go out\n" if decision.allowed else f"orders are denied: {decision.reason}\n")
    return int(not decision.allowed)
