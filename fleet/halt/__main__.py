# SPDX-License-Identifier: Apache-2.0
"""Halt the hosts of an inventory, all at once, and say who was not: `python -m fleet.halt --inventory FOLDER`."""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import UserError
from fleet.halt.script import TARGET, command, quoted
from fleet.halt.targets import Target, targets
from fleet.model.model import Fleet
from fleet.model.named import usable
from fleet.paths import PROJECT

# To the first word of a host: its connection, its log-in, sudo, the latch. Services then take their time to drain.
LATCH_SECONDS = 20.0
DRAIN_SECONDS = 180.0
DENIED, NOTHING_HERE = "orders are denied", "no kill switch here"


@dataclass(frozen=True)
class Answer:
    """How one host stands.

    Attributes:
        target: the host.
        latched: seconds until it denied orders or said that nothing there sends any; None if it never did.
        ended: whether its services are stopped, too.
        words: what it said, or why it said nothing.
    """

    target: Target
    latched: float | None
    ended: bool
    words: str

    @property
    def good(self) -> bool:
        """Return whether the host is halted whole."""
        return self.latched is not None and self.ended


def halt(target: Target, script: str) -> Answer:
    """Halt one host and wait until its services are stopped.

    Args:
        target: the host.
        script: what halts it.
    """
    began = time.monotonic()
    over_ssh = bool(target.command) and target.command[0] == "ssh"
    words = [*target.command, "sh", "-c", quoted(script) if over_ssh else script]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdin is not None  # noqa: S101 - for the type checker: both are pipes
    assert process.stdout is not None  # noqa: S101
    ends = threading.Timer(LATCH_SECONDS, process.kill)
    ends.start()
    said, latched = [], None
    try:
        _tell(process, target.password)
        for line in process.stdout:
            said.append(line.strip())
            if latched is None and said[-1].startswith((DENIED, NOTHING_HERE)):
                latched = time.monotonic() - began
                ends.cancel()
                ends = threading.Timer(DRAIN_SECONDS, process.kill)
                ends.start()
        status = process.wait()
    finally:
        ends.cancel()
    if status < 0:
        said.append("no answer for too long")
    return Answer(target, latched, status == 0, ", ".join(filter(None, said)) or f"no word, status {status}")


def _tell(process: subprocess.Popen[str], password: str | None) -> None:
    try:
        if process.stdin is not None:
            process.stdin.write(f"{password}\n" if password is not None else "")
            process.stdin.close()
    except BrokenPipeError:
        pass  # it ended before; what it said tells why


def halt_all(chosen: Sequence[Target], reason: str, say: Callable[[str], None]) -> list[Answer]:
    """Halt hosts side by side, and say of each how it stands as soon as it does.

    Args:
        chosen: the hosts; a dead one keeps nobody waiting.
        reason: goes into the latch.
        say: takes one line.
    """
    script = command(reason, os.environ.get("SUDO_USER") or getpass.getuser())
    answers = []
    with ThreadPoolExecutor(max_workers=max(1, len(chosen))) as pool:
        for future in as_completed([pool.submit(halt, target, script) for target in chosen]):
            answer = future.result()
            answers.append(answer)
            say(line(answer))
    return answers


def line(answer: Answer) -> str:
    """Return one line on a host."""
    name = f"{answer.target.name:<12}"
    if answer.latched is None:
        return f"{name} NOT HALTED: {answer.words}"
    late = "" if answer.ended else f"; {TARGET} IS NOT STOPPED"
    return f"{name} {answer.words} (after {answer.latched:.1f} s){late}"


def main(arguments: list[str] | None = None) -> int:
    """Halt, and return 0 only if every chosen host is halted and the whole inventory could be read."""
    parser = argparse.ArgumentParser(prog="python -m fleet.halt", description=__doc__)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--limit", default="", help="hosts or groups, as Ansible takes them")
    parser.add_argument("--reason", default="", help="for whoever resumes")
    options = parser.parse_args(arguments)
    try:
        fleet = Fleet.load(usable(options.inventory), PROJECT)
    except UserError as error:
        print(f"nobody was halted: {error}", file=sys.stderr)
        return 2
    chosen = targets(fleet, options.limit)
    if not chosen:
        what = f"LIMIT={options.limit} names no Linux host of it" if options.limit else "it has no Linux host"
        wrong = "".join(f"\n{problem.text(PROJECT)}" for problem in fleet.blocking)
        print(f"nobody was halted: {options.inventory}: {what}{wrong}", file=sys.stderr)
        return 2
    answers = halt_all(chosen, options.reason or "fleet halt", lambda words: print(words, flush=True))
    return _report(fleet, answers)


def _report(fleet: Fleet, answers: Sequence[Answer]) -> int:
    """Say last what matters most: who may still trade."""
    for problem in fleet.blocking:
        print(f"the inventory was read in part: {problem.text(PROJECT)}", file=sys.stderr)
    missed = sorted((a for a in answers if not a.good), key=lambda a: (a.latched is not None, not a.target.trades))
    for answer in missed:
        notes = "".join(f"; {note}" for note in answer.target.notes)
        may = "may still send orders" if answer.target.trades else "runs no services by the inventory"
        danger = may if answer.latched is None else f"denies orders; {TARGET} still runs"
        print(f"{answer.target.name}: {danger}: at its console `sudo station halt`{notes}", file=sys.stderr)
    print(f"halted {len(answers) - len(missed)} of {len(answers)} hosts")
    return int(bool(missed or fleet.blocking))


if __name__ == "__main__":
    sys.exit(main())
