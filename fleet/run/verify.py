# SPDX-License-Identifier: Apache-2.0
"""Prove the state of real hosts: run tests/host against an inventory and show what held, by host and role."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.table import Table

from fleet import terminal
from fleet.errors import UserError
from fleet.model.model import Fleet
from fleet.paths import BUILD, PROJECT

REPORT = BUILD / "verify.xml"
MESSAGE = 160  # characters of a failure's first line; the whole is in the report


@dataclass(frozen=True)
class Check:
    """One assertion about one host; `message` is the first line of what pytest said when it did not pass."""

    role: str
    host: str
    name: str
    state: str
    message: str = ""


def run(inventory: Path, limit: str = "", verbose: bool = False) -> list[Check]:
    """Run the host tests and return every check.

    Args:
        inventory: inventory folder.
        limit: host names separated by commas; empty for all.
        verbose: let pytest print while it works.
    """
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/host",
        "--inventory",
        str(inventory),
        f"--junitxml={REPORT}",
    ]
    command += ["--limit", limit] if limit else []
    done = subprocess.run(command, cwd=PROJECT, capture_output=not verbose, text=True, check=False)
    if not REPORT.exists() or done.returncode not in {0, 1}:
        words = (done.stdout or "") + (done.stderr or "")
        last = [line for line in words.splitlines() if line.strip()][-1:]
        return [Check("pytest", "-", "collection", "failed", " ".join(last))]
    return parse(REPORT.read_text(), Fleet.load(inventory, PROJECT).hosts)


def parse(report: str, hosts: Iterable[str]) -> list[Check]:
    """Read a JUnit report into checks.

    Args:
        report: the report's text; a test's name ends in brackets, where the host is one of the words.
        hosts: names of the inventory's hosts.
    """
    longest_first = sorted(hosts, key=len, reverse=True)
    checks = []
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        name, _, rest = case.get("name", "").partition("[")
        words = f"-{rest.removesuffix(']')}-"
        host = next((known for known in longest_first if f"-{known}-" in words), "-")
        role = case.get("classname", "").rpartition(".")[2].removeprefix("test_")
        state, message = "passed", ""
        for tag, meaning in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            found = case.find(tag)
            if found is not None:
                state, message = meaning, (found.get("message") or "").strip().split("\n")[0][:MESSAGE]
        checks.append(Check(role, host, name, state, message))
    return checks


def summary(checks: Iterable[Check]) -> str:
    """Say how many checks passed, failed and were skipped."""
    counts = Counter(check.state for check in checks)
    return ", ".join(f"{counts[state]} {state}" for state in ("passed", "failed", "skipped") if counts[state]) or "none"


def by_host(checks: Sequence[Check]) -> dict[str, str]:
    """Return {host: summary}."""
    hosts = dict.fromkeys(check.host for check in checks)
    return {host: summary([check for check in checks if check.host == host]) for host in hosts}


def table(checks: Sequence[Check]) -> Table:
    """Return hosts x roles with the summary of each."""
    roles = list(dict.fromkeys(check.role for check in checks))
    result = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("host", *roles):
        result.add_column(title)
    for host in dict.fromkeys(check.host for check in checks):
        own = [[check for check in checks if (check.host, check.role) == (host, role)] for role in roles]
        result.add_row(host, *(_styled(cell) for cell in own))
    return result


def _styled(checks: Sequence[Check]) -> str:
    if not checks:
        return "[dim]-[/]"
    colour = "red" if any(check.state == "failed" for check in checks) else "green"
    return f"[{colour}]{summary(checks)}[/]"


def main(arguments: list[str] | None = None) -> int:
    """Run the checks, print them as a table with what failed below, and return 0 only if nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m fleet.run.verify", description=__doc__)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--limit", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(arguments)
    try:
        Fleet.of(options.inventory, PROJECT)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    began = time.monotonic()
    print(f"checking the hosts of {options.inventory} ...", flush=True)
    checks = run(options.inventory, options.limit, options.verbose)
    console = terminal.console()
    console.print(table(checks))
    for check in checks:
        if check.state != "passed":
            words = f"{check.state} {check.host}, {check.role}: {check.name}: {check.message}"
            console.print(words, highlight=False, markup=False)
    failed = any(check.state == "failed" for check in checks)
    print(f"{summary(checks)} in {time.monotonic() - began:.0f} s")
    if failed:
        print("next: mend what failed, run `make site`, then `make verify` again")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
