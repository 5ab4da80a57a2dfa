# SPDX-License-Identifier: Apache-2.0
"""Prove the state of real hosts: run tests/host against an inventory and show what holds, by host and role."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import terminal
from fleet.errors import UserError
from fleet.model.model import Fleet
from fleet.paths import PROJECT
from fleet.run import follow, last, logs
from fleet.run.checks import NO_HOST, NOT_CHECKED, Check, Standing, by_host, summary, told

# Pytest's exit status: all tests passed, or some did not; it found none.
RAN, NOTHING = (0, 1), 5


@dataclass(frozen=True)
class Outcome:
    """What the checks came to, and where pytest's own words are."""

    checks: Sequence[Check]
    log: Path

    @property
    def good(self) -> bool:
        """Return whether nothing failed and every host was reached."""
        return not any(check.state in {"failed", NOT_CHECKED} for check in self.checks)


def run(inventory: Path, limit: str = "", verbose: bool = False) -> Outcome:
    """Run the host tests and return every check, with a table or a line for each host and role meanwhile.

    Args:
        inventory: inventory folder.
        limit: hosts or groups separated by commas; empty for all.
        verbose: let pytest print while it works, instead.

    Raises:
        UserError: the log cannot be written.
    """
    log = logs.new("verify")
    # The log has every value whole.
    command = [sys.executable, "-m", "pytest", "-vv", "tests/host", "--inventory", str(inventory.resolve())]
    command += ["--limit", limit] if limit else []
    standing = Standing()
    view = follow.View(standing.take, lambda: table(standing, time.monotonic()))
    status = follow.run(command, os.environ, log, view, verbose)
    last.keep(inventory, {host: {"verify": words} for host, words in by_host(standing.checks).items()})
    if status in RAN:
        return Outcome(standing.checks, log)
    # Pytest's own errors come before a line of its own form.
    said = [line for line in log.read_text().splitlines() if line.strip() and not line.startswith("=")]
    message = said[-1] if said and status != NOTHING else "no role of the chosen hosts has checks; is LIMIT right?"
    return Outcome([*standing.checks, Check("pytest", NO_HOST, "the checks did not run", "failed", message)], log)


def table(standing: Standing, now: float = 0.0) -> terminal.Grid:
    """Return hosts x roles with how each stands, at a time on the events' clock."""
    places = dict.fromkeys([*standing.planned, *((check.host, check.role) for check in standing.checks)])
    roles = list(dict.fromkeys(role for _, role in places))
    rows = [_row(standing, host, roles, now) for host in dict.fromkeys(host for host, _ in places)]
    return terminal.Grid(["host", *roles], rows)


def _row(standing: Standing, host: str, roles: Sequence[str], now: float) -> list[str]:
    if standing.away(host):
        return [f"{host} [red]away[/]", *("" for _ in roles)]
    return [host, *(_styled(standing, host, role, now) for role in roles)]


def _styled(standing: Standing, host: str, role: str, now: float) -> str:
    words = standing.cell(host, role, now)
    bad = any(state in words for state in ("failed", NOT_CHECKED))
    colour = "red" if bad else "cyan" if " of " in words else "green"
    return words and f"[{colour}]{words}[/]"


def report(outcome: Outcome, skipped: bool = True) -> None:
    """Print what did not hold, what could not be made, where the log is and, if asked for, what was skipped."""
    console = terminal.console()
    for label, words in told(outcome.checks):
        if skipped or label != "skipped":
            terminal.say(console, label, words, "yellow" if label == "skipped" else "red")
    if not outcome.good:
        terminal.say(console, "log:", str(outcome.log.relative_to(PROJECT)))


def main(arguments: list[str] | None = None) -> int:
    """Run the checks, print them as a table with what failed below, and return 0 only if nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m fleet.run.verify", description=__doc__)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--limit", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        Fleet.of(options.inventory, PROJECT)
        print(f"checking the hosts of {options.inventory} ...", flush=True)
        outcome = run(options.inventory, options.limit, options.verbose)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    console = terminal.console()
    console.print(table(Standing(checks=[check for check in outcome.checks if check.host != NO_HOST])))
    report(outcome)
    print(f"{summary(outcome.checks)} in {time.monotonic() - began:.0f} s")
    if not outcome.good:
        terminal.say(console, "next:", _next(outcome))
    return int(not outcome.good)


def _next(outcome: Outcome) -> str:
    failed = {check.host for check in outcome.checks if check.state == "failed"}
    if NO_HOST in failed:
        return "mend what is named above and run it again"
    if failed:
        return (
            "`make check` shows what differs from the inventory, `make site` brings it back; then `make verify` again"
        )
    return "start the hosts that are away, or mend the way to them; then `make verify` again"


if __name__ == "__main__":
    sys.exit(main())
