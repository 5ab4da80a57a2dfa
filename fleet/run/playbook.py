# SPDX-License-Identifier: Apache-2.0
"""Run a playbook so that a person can follow it: a table while it works, Ansible's own words in a log."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from fleet import terminal
from fleet.errors import UserError
from fleet.model.named import PASSWORD_FILE, usable
from fleet.paths import BUILD, PROJECT, VENV_BIN
from fleet.run import mitogen
from fleet.run.progress import HELD_BACK, Cell, Progress

LOGS = BUILD / "logs"
# Nothing failed, and frozen hosts would have changed. "Temporary failure, try again later" of sysexits.h, and none of
# Ansible's own.
HELD_BACK_STATUS = 75
ANSIBLE_FAILED_HOSTS = 2
# Layers without a column: they change nothing, and what they say stands below the table.
HIDDEN = ("preflight", HELD_BACK)
COLOURS = {"ok": "green", "running": "cyan", "failed": "red", "unreachable": "red", "not reached": "yellow"}


@dataclass(frozen=True)
class Outcome:
    """What a run came to: Ansible's exit status, how each host stands, where its words are, how long it took."""

    ansible_status: int
    progress: Progress
    log: Path
    seconds: float

    @property
    def status(self) -> int:
        """Return Ansible's exit status, or 75 if all that failed is that frozen hosts would have changed."""
        if self.ansible_status == ANSIBLE_FAILED_HOSTS and self.progress.held_back and not self.progress.failures():
            return HELD_BACK_STATUS
        return self.ansible_status


def run_playbook(playbook: str, inventory: Path, extra: Sequence[str] = (), verbose: bool = False) -> Outcome:
    """Run a playbook and show a table of hosts and layers while it works.

    Args:
        playbook: path inside the project.
        inventory: inventory folder.
        extra: further words for `ansible-playbook`.
        verbose: show Ansible's output live instead of the table; it goes to the log in both cases.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    # Two runs may begin in one second.
    log = LOGS / f"{Path(playbook).stem}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    progress, began = Progress(), time.monotonic()
    console = terminal.console()
    read_end, write_end = os.pipe()
    variables = (
        os.environ
        | mitogen.variables()
        | {
            "FLEET_PROGRESS_FD": str(write_end),
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks,progress",
            "ANSIBLE_FORCE_COLOR": "1" if verbose and console.is_terminal else "0",
        }
    )
    command = [str(VENV_BIN / "ansible-playbook"), "-i", str(inventory), playbook, *extra]
    with log.open("w") as stream, _display(console, progress, silent=verbose) as show:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=variables,
            stdout=subprocess.PIPE if verbose else stream,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            text=True,
        )
        os.close(write_end)
        reader = threading.Thread(target=_follow, args=(read_end, progress, show), daemon=True)
        reader.start()
        if verbose and process.stdout is not None:
            _tee(process.stdout, stream)
        status = process.wait()
        reader.join(timeout=5)  # a forgotten child may keep the pipe open
    return Outcome(status, progress, log, time.monotonic() - began)


def passwords(inventory: Path) -> list[str]:
    """Return the words by which Ansible gets the password that lies beside an inventory.

    Args:
        inventory: inventory folder.
    """
    file = inventory / PASSWORD_FILE
    return ["--vault-id", f"{inventory.resolve().name}@{file.resolve()}"] if file.exists() else []


def report(outcome: Outcome, extra: dict[str, dict[str, str]] | None = None) -> None:
    """Print the table of a finished run, what went wrong in it, and where Ansible's own words are."""
    console = terminal.console()
    console.print(table(outcome.progress, extra))
    for host, layer, cell in outcome.progress.failures():
        words = escape(f"{host}, {layer}: {cell.task}: {cell.message.strip()}")
        console.print(f"[red]{cell.state}[/] {words}", highlight=False)
    for host, until in outcome.progress.frozen.items():
        console.print(
            f"[yellow]frozen[/] {escape(f'{host} {until}: {_held_back(outcome.progress, host)}')}", highlight=False
        )
    if outcome.status not in {0, HELD_BACK_STATUS} and not outcome.progress.failures():
        console.print(_last_words(outcome.log), highlight=False, markup=False)
    console.print(f"log: {outcome.log.relative_to(PROJECT)}", highlight=False)


def _held_back(progress: Progress, host: str) -> str:
    roles = progress.held_back.get(host)
    return f"would change {', '.join(f'{role} ({count})' for role, count in roles.items())}" if roles else "no change"


def _last_words(log: Path) -> str:
    """Return the errors of a run that ended before any task of a host, as Ansible printed them."""
    lines = log.read_text().splitlines()
    errors = [line for line in lines if line.startswith(("ERROR!", "[ERROR]", "fatal:"))]
    return "\n".join(errors or lines[-3:])


def main(arguments: list[str] | None = None) -> int:
    """Run a playbook with progress and return the exit status of its outcome."""
    parser = argparse.ArgumentParser(prog="python -m fleet.run.playbook", description=__doc__)
    parser.add_argument("playbook")
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--verbose", action="store_true", help="Ansible's output live")
    parser.add_argument("--expect-no-change", action="store_true", help="fail when any host reports a change")
    parser.add_argument(
        "--override", type=_reason, metavar="REASON", help="change hosts in their market hours, and log why"
    )
    options, extra = parser.parse_known_args(arguments)
    try:
        extra = [*passwords(usable(options.inventory)), *extra]
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    if options.override:
        extra += ["--extra-vars", json.dumps({"trading_override": options.override})]
    outcome = run_playbook(options.playbook, options.inventory.resolve(), extra, options.verbose)
    report(outcome)
    if outcome.status == 0 and not outcome.progress.hosts:
        # Ansible is content with plays of no host, and the check of the inventory is one of them.
        print(
            f"{options.inventory}: no play has a host of this inventory; `make check-inventory` says why",
            file=sys.stderr,
        )
        return 1
    changes = [host for host, counts in outcome.progress.totals.items() if counts["changed"]]
    if options.expect_no_change and changes:
        print(f"not as declared: {', '.join(changes)} (see the log)", file=sys.stderr)
        return 1
    print(f"next: {_next(outcome, dry='--check' in extra)}")
    return outcome.status


def _reason(words: str) -> str:
    reason = " ".join(words.split())
    if not reason:
        raise argparse.ArgumentTypeError('give a reason in words, such as OVERRIDE="the feed is down"')
    return reason


def _next(outcome: Outcome, dry: bool) -> str:
    if outcome.status == HELD_BACK_STATUS:
        return 'run the same again when no host is frozen, or now with OVERRIDE="reason"; what is done stays done'
    if outcome.status != 0:
        return "mend what is named above and run it again; what is done stays done"
    if dry:
        held = " when it is not frozen" if outcome.progress.held_back else ""
        return f"`make site` applies it{held}"
    return "`make verify` proves it"


def table(progress: Progress, extra: dict[str, dict[str, str]] | None = None) -> Table:
    """Return hosts x layers, with further columns of {title: {host: text}}."""
    further = extra or {}
    layers = [layer for layer in progress.layers if layer not in HIDDEN or _went_wrong(progress, layer)]
    result = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("host", *layers, *further):
        result.add_column(title, no_wrap=title == "host")
    for host in progress.hosts:
        cells = [progress.cells.get((host, layer)) for layer in layers]
        result.add_row(host, *(_styled(cell) for cell in cells), *(column.get(host, "") for column in further.values()))
    return result


def _went_wrong(progress: Progress, layer: str) -> bool:
    return any(failed == layer for _, failed, _ in progress.failures())


def _styled(cell: Cell | None) -> str:
    if cell is None:
        return "[dim]-[/]"
    return f"[{COLOURS.get(cell.state, 'dim')}]{escape(cell.text())}[/]"


class _Show:
    """Prints what finished, or redraws the table when a person watches."""

    def __init__(self, console: Console, progress: Progress, live: Live | None, silent: bool) -> None:
        self._console, self._progress, self._live, self._silent = console, progress, live, silent

    def __call__(self, finished: Sequence[tuple[str, str, Cell]]) -> None:
        if self._live is not None:
            self._live.update(table(self._progress))
        elif not self._silent:
            for host, layer, cell in finished:
                if layer == HELD_BACK:
                    continue  # report has it, role by role
                self._console.print(f"{host:<12} {layer:<12} {cell.text()}", highlight=False, markup=False)


@contextmanager
def _display(console: Console, progress: Progress, silent: bool) -> Iterator[_Show]:
    if console.is_terminal and not silent:
        with Live(table(progress), console=console, refresh_per_second=4, transient=True) as live:
            yield _Show(console, progress, live, silent)
    else:
        yield _Show(console, progress, None, silent)


def _follow(descriptor: int, progress: Progress, show: _Show) -> None:
    with os.fdopen(descriptor) as events:
        for line in events:
            show(progress.apply(json.loads(line)))


def _tee(source: IO[str], log: IO[str]) -> None:
    for line in source:
        sys.stdout.write(line)
        sys.stdout.flush()
        log.write(line)


if __name__ == "__main__":
    sys.exit(main())
