# SPDX-License-Identifier: Apache-2.0
"""Hurt a station of real processes on purpose, count what it lost, and write docs/reference/faults.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from fleet import programs, terminal
from fleet.errors import UserError
from fleet.faults import page
from fleet.faults.catalogue import FAULTS, Fault
from fleet.faults.run import FOLDER, Workshop
from fleet.servers import questdb

# In namespaces of our own nothing can stay behind: with the last process all others, mounts and loop devices are gone.
_INSIDE = "FLEET_FAULTS_INSIDE"
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; exit status 1 if anything failed, 2 if it could not be done."""
    options = _parser().parse_args(arguments)
    try:
        chosen = _chosen(options.only, options.short)
        if _INSIDE not in os.environ and _may_unshare():
            words = [*_NAMESPACES, sys.executable, "-m", "fleet.faults", *(arguments or sys.argv[1:])]
            return subprocess.run(words, env={**os.environ, _INSIDE: "1"}, check=False).returncode
        programs.provide(programs.REDIS)
        questdb.provide()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return _run(chosen, options)


def _run(chosen: Sequence[Fault], options: argparse.Namespace) -> int:
    folder: Path = options.results
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    why_no_disk = _why_no_disk()
    workshop = Workshop(options.seed)
    try:
        for place, fault in enumerate(chosen, 1):
            history = folder / f"{fault.name}.jsonl"
            if fault.disk and why_no_disk:
                print(f"{fault.name}: not run here: {why_no_disk}", flush=True)
                continue
            repeat = 1 if options.short else max(1, round(options.repeat * fault.share))
            for number in missing(page.read(history), options.seed, repeat):
                found = workshop.repeat(fault, number)
                with history.open("a") as file:
                    file.write(json.dumps(found.as_json()) + "\n")
                recovered = "" if found.recovery_s is None else f", recovered in {found.recovery_s:.1f} s"
                where = f"[{place}/{len(chosen)} {number}/{repeat} {time.monotonic() - began:.0f} s]"
                print(f"{where} {fault.name}: {'passed' if found.passed else 'FAILED'}{recovered}", flush=True)
                for problem in found.problems:
                    print(f"    {problem}", flush=True)
    finally:
        workshop.close()
    return _report(chosen, options, time.monotonic() - began)


def missing(history: Sequence[Mapping[str, Any]], seed: int, repeat: int) -> list[int]:
    """Return the numbers of the repetitions that a history lacks: hours of them go on where they were interrupted."""
    there = {one["number"] for one in history if one["seed"] == seed}
    return [number for number in range(1, repeat + 1) if number not in there]


def _report(chosen: Sequence[Fault], options: argparse.Namespace, seconds: float) -> int:
    histories = {fault: page.read(options.results / f"{fault.name}.jsonl") for fault in FAULTS}
    if options.results == FOLDER and not options.short:
        seeds = [one["seed"] for history in histories.values() for one in history]
        page.PAGE.write_text(page.text([page.row(fault, history) for fault, history in histories.items()], seeds))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in page.COLUMNS:
        table.add_column(title)
    for fault in chosen:
        table.add_row(*page.row(fault, histories[fault]))
    terminal.console().print(table)
    failed = [fault.name for fault in chosen if not all(one["passed"] for one in histories[fault])]
    print(f"{len(chosen)} faults, {len(failed)} failed, in {seconds:.0f} s")
    if failed:
        again = f"make faults ONLY={','.join(failed)} SEED={options.seed}"
        print(f"next: see build/faults/failed, mend it, remove the histories of before (build/faults), then `{again}`")
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleet.faults", description=__doc__)
    parser.add_argument(
        "--repeat",
        type=int,
        default=20,
        help="of each fault, those made before included; of the longest a quarter (20)",
    )
    parser.add_argument("--seed", type=int, default=1, help="draws the moments (1)")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="these faults alone, or all that begin so")
    parser.add_argument("--short", action="store_true", help="one repetition of each, without stalls that are long")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where the histories go (build/faults)")
    return parser


def _chosen(only: str, short: bool) -> list[Fault]:
    """Return the faults that are asked for.

    Raises:
        UserError: there is none of such a name.
    """
    names = tuple(filter(None, only.split(",")))
    unknown = [name for name in names if not any(fault.name.startswith(name) for fault in FAULTS)]
    if unknown:
        raise UserError(f"--only {unknown[0]}: no such fault; there are {', '.join(fault.name for fault in FAULTS)}")
    wanted = [fault for fault in FAULTS if not names or fault.name.startswith(names)]
    return [fault for fault in wanted if not (short and fault.long)]


def _may_unshare() -> bool:
    return (
        os.geteuid() == 0 and subprocess.run([*_NAMESPACES, "true"], capture_output=True, check=False).returncode == 0
    )


def _why_no_disk() -> str:
    """Say why no image can be mounted, "" if one can."""
    if _INSIDE not in os.environ:
        return "a disk of one's own needs root and a mount namespace"
    found = subprocess.run(
        ["losetup", "--find"], capture_output=True, check=False, env={**os.environ, "PATH": programs.PATH}
    )
    return "" if found.returncode == 0 else "there is no loop device"


if __name__ == "__main__":
    sys.exit(main())
