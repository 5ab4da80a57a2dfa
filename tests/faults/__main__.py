# SPDX-License-Identifier: Apache-2.0
"""Hurt a station of real processes on purpose, count what it lost, and write docs/reference/faults.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rich.table import Table

from fleet import terminal
from fleet.errors import UserError
from lab import programs
from tests.faults import page
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.history import Repetition
from tests.faults.run import FOLDER, Workshop
from tests.servers import questdb

# In namespaces of our own nothing can stay behind: with the last process all others, mounts and loop devices are gone.
_INSIDE = "FLEET_FAULTS_INSIDE"
_END_S = 10.0  # for the kernel to end what was inside
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; exit status 1 if anything failed, 2 if it could not be done."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.repeat < 1 or options.jobs < 1:
        parser.error("--repeat, --jobs: at least 1")
    try:
        chosen = _chosen(options.only, options.short)
        if _INSIDE not in os.environ and _may_unshare():
            return _inside([sys.executable, "-m", "tests.faults", *(arguments or sys.argv[1:])])
        programs.provide(programs.REDIS)
        questdb.provide()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return _run(chosen, options)


def _inside(words: Sequence[str]) -> int:
    """Run a command in namespaces and a folder of its own, which go with it, also when it is interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    environment = {**os.environ, _INSIDE: "1", "TMPDIR": str(folder)}
    child = subprocess.Popen([*_NAMESPACES, *words], env=environment, start_new_session=True)
    try:
        return child.wait()
    except KeyboardInterrupt:
        print("interrupted; what was counted is kept, and `make faults` goes on from there", file=sys.stderr)
        return 130
    finally:
        child.kill()
        child.wait()
        # The kernel needs a moment to end what is inside, and unmounts its disks last.
        deadline = time.monotonic() + _END_S
        while folder.exists() and time.monotonic() < deadline:
            shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.1)


def _run(chosen: Sequence[Fault], options: argparse.Namespace) -> int:
    options.results.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    why_no_disk = _why_no_disk()
    for fault in chosen:
        if fault.disk and why_no_disk:
            print(f"{fault.name}: not run here: {why_no_disk}", flush=True)
    runs = [fault for fault in chosen if not (fault.disk and why_no_disk)]
    histories = {fault: page.read(_history(options, fault.name)) for fault in runs}
    todo = missing(histories, options.seed, 1 if options.short else options.repeat)
    for done, found in enumerate(side_by_side(todo, options.seed, options.jobs), 1):
        with _history(options, found.fault).open("a") as file:
            file.write(json.dumps(found.as_json()) + "\n")
        recovered = "" if found.recovery_s is None else f", recovered in {found.recovery_s:.1f} s"
        where = f"[{done}/{len(todo)} {time.monotonic() - began:.0f} s]"
        verdict = "passed" if found.passed else "FAILED"
        print(f"{where} {found.fault} {found.number}: {verdict}{recovered}", flush=True)
        for problem in found.problems:
            print(f"    {problem}", flush=True)
    return _report(chosen, options, time.monotonic() - began)


def missing(histories: Mapping[Fault, Sequence[Mapping[str, Any]]], seed: int, repeat: int) -> list[tuple[Fault, int]]:
    """Return the repetitions that the histories lack: hours of them go on where they were interrupted.

    Every fault comes once, then every fault twice: an interrupted run has seen them all, and long stalls, which need
    no processor, run beside what does.
    """
    there = {(fault, one["number"]) for fault, found in histories.items() for one in found if one["seed"] == seed}
    every = [(fault, number) for number in range(1, repeat + 1) for fault in histories]
    return [one for one in every if one not in there]


def side_by_side(todo: Sequence[tuple[Fault, int]], seed: int, jobs: int) -> Iterator[Repetition]:
    """Make repetitions, several at a time, each in a workshop that it has for itself; yield each when it is done."""
    workshops: SimpleQueue[Workshop] = SimpleQueue()
    for _ in range(jobs):
        workshops.put(Workshop(seed))

    def make(fault: Fault, number: int) -> Repetition:
        workshop = workshops.get()
        try:
            return workshop.repeat(fault, number)
        finally:
            workshops.put(workshop)

    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(make, fault, number) for fault, number in todo]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        for _ in range(jobs):
            workshops.get().close()


def _history(options: argparse.Namespace, name: str) -> Path:
    folder: Path = options.results
    return folder / f"{name}.jsonl"


def _report(chosen: Sequence[Fault], options: argparse.Namespace, seconds: float) -> int:
    histories = {fault: page.read(_history(options, fault.name)) for fault in FAULTS}
    if options.results == FOLDER and not options.short:
        seeds = [one["seed"] for history in histories.values() for one in history]
        rows = [page.row(fault, history) for fault, history in histories.items()]
        page.PAGE.write_text(page.text(rows, seeds, options.jobs, os.cpu_count() or 1))
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
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--repeat",
        type=int,
        default=20,
        help="of each fault, those made before included (20)",
    )
    parser.add_argument("--seed", type=int, default=1, help="draws the moments (1)")
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="these faults alone, or all that begin so")
    parser.add_argument("--jobs", type=int, default=1, help="stations that are hurt side by side (1)")
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
