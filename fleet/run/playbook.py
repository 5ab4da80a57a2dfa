# SPDX-License-Identifier: Apache-2.0
"""Run a playbook so that a person can follow it: a table while it works, Ansible's own words in a log."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.text import Text

from fleet import terminal
from fleet.errors import UserError
from fleet.model.named import PASSWORD_FILE, usable
from fleet.paths import PROJECT, VENV_BIN
from fleet.run import follow, last, logs, mitogen
from fleet.run.progress import HELD_BACK, Cell, Change, Progress

# Nothing failed, and frozen hosts would have changed. "Temporary failure, try again later" of sysexits.h, and none of
# Ansible's own.
HELD_BACK_STATUS = 75
ANSIBLE_FAILED_HOSTS = 2
# Layers without a column: they change nothing, and what they say stands below the table.
HIDDEN = ("preflight", HELD_BACK)
DIFF_LINES, NAMED_FILES = 60, 6
DIFF_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
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

    Raises:
        UserError: the log cannot be written.
    """
    log = logs.new(Path(playbook).stem)
    progress, began = Progress(), time.monotonic()
    variables = (
        os.environ
        | mitogen.variables()
        | {
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks,progress",
            "ANSIBLE_FORCE_COLOR": "1" if verbose and terminal.console().is_terminal else "0",
        }
    )
    command = [str(VENV_BIN / "ansible-playbook"), "-i", str(inventory), *passwords(inventory), playbook, *extra]

    def take(event: Mapping[str, Any]) -> Iterator[str]:
        for host, layer, cell in progress.apply(event):
            if layer != HELD_BACK:  # report has it, role by role
                yield f"{host:<12} {layer:<12} {cell.text()}"

    view = follow.View(take, lambda: table(progress, now=time.monotonic()))
    status = follow.run(command, variables, log, view, verbose)
    if "--check" not in extra:
        last.keep(inventory, _states(progress))
    return Outcome(status, progress, log, time.monotonic() - began)


def _states(progress: Progress) -> dict[str, dict[str, str]]:
    states: dict[str, dict[str, str]] = {}
    for (host, layer), cell in progress.cells.items():
        if layer not in HIDDEN:
            states.setdefault(host, {})[layer] = cell.state
    return states


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
        where = f"{host} ({cell.address})" if cell.address else host
        terminal.say(console, cell.state, f"{where}, {layer}: {cell.task}: {cell.message}", "red")
    for host, until in outcome.progress.frozen.items():
        terminal.say(console, "frozen", f"{host} {until}: {_held_back(outcome.progress, host)}", "yellow")
    if outcome.status not in {0, HELD_BACK_STATUS} and not outcome.progress.failures():
        terminal.say(console, *_last_words(outcome.log).partition(" ")[::2])
    terminal.say(console, "log:", str(outcome.log.relative_to(PROJECT)))


def differences(progress: Progress, label: str, diffs: bool) -> None:
    """Print what a run changed, or would have changed: hosts, layer, role, task and files, a line for each task.

    Args:
        progress: of the run.
        label: first words of each line.
        diffs: print under each line how the files differ.
    """
    console = terminal.console()
    for change, hosts in progress.changes.items():
        where = ", ".join([*sorted(hosts, key=progress.hosts.index), change.layer])
        words = ": ".join(filter(None, (where, change.task, _named(change))))
        terminal.say(console, label, words, "yellow")
        lines = change.diff.strip().splitlines() if diffs else []
        for line in lines[:DIFF_LINES]:
            text = Text.from_ansi(line).plain
            console.print(Text(text, DIFF_COLOURS.get(text[:1], "")), soft_wrap=True, highlight=False)
        if len(lines) > DIFF_LINES:
            terminal.say(console, "...", f"{len(lines) - DIFF_LINES} more lines in the log")


def _named(change: Change) -> str:
    more = len(change.files) - NAMED_FILES
    return ", ".join([*change.files[:NAMED_FILES], *([f"{more} more"] if more > 0 else [])])


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
    parser.add_argument("--limit", help="hosts or groups, as Ansible takes them")
    parser.add_argument("--verbose", action="store_true", help="Ansible's output live")
    parser.add_argument("--expect-no-change", action="store_true", help="fail when any host reports a change")
    parser.add_argument(
        "--override", type=_reason, metavar="REASON", help="change hosts in their market hours, and log why"
    )
    options, extra = parser.parse_known_args(arguments)
    extra += ["--limit", options.limit] if options.limit else []
    if options.override:
        extra += ["--extra-vars", json.dumps({"trading_override": options.override})]
    # What is built here and copied to the hosts is read there by other users.
    os.umask(0o022)
    try:
        outcome = run_playbook(options.playbook, usable(options.inventory).resolve(), extra, options.verbose)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    report(outcome)
    if outcome.status == 0 and not outcome.progress.hosts:
        # Ansible is content with plays of no host, and the check of the inventory is one of them.
        print(
            f"{options.inventory}: no play has a host of this inventory; `make check-inventory` says why",
            file=sys.stderr,
        )
        return 1
    dry = "--check" in extra
    changed = [host for host, counts in outcome.progress.totals.items() if counts["changed"]]
    if dry or options.expect_no_change:
        differences(outcome.progress, "would change" if dry else "changed", diffs=not options.expect_no_change)
    drift = options.expect_no_change and outcome.status == 0 and bool(changed)
    if drift:
        print(f"not as declared: {', '.join(changed)}", file=sys.stderr)
    terminal.say(terminal.console(), "next:", _next(outcome, dry, bool(changed), drift))
    return 1 if drift else outcome.status


def _reason(words: str) -> str:
    reason = " ".join(words.split())
    if not reason:
        raise argparse.ArgumentTypeError('give a reason in words, such as OVERRIDE="the feed is down"')
    return reason


def _next(outcome: Outcome, dry: bool, changed: bool, drift: bool) -> str:
    kept = "what is done stays done" if outcome.progress.began and not dry else "nothing was changed"
    if outcome.status == HELD_BACK_STATUS:
        return f'run the same again when no host is frozen, or now with OVERRIDE="reason"; {kept}'
    if outcome.status != 0:
        return f"mend what is named above and run it again; {kept}"
    if dry and not changed:
        return "nothing, the hosts are as declared"
    if drift and dry:
        return "`make check` shows how the files differ, `make site` brings back what is declared"
    if dry:
        held = " when it is not frozen" if outcome.progress.held_back else ""
        return f"`make site` applies it{held}"
    return "`make verify` proves it"


def table(progress: Progress, extra: dict[str, dict[str, str]] | None = None, now: float = 0.0) -> terminal.Grid:
    """Return hosts x layers, with further columns of {title: {host: text}}, as of a time on the events' clock."""
    further = extra or {}
    layers = [layer for layer in progress.layers if layer not in HIDDEN or _went_wrong(progress, layer)]
    rows = [
        [
            host,
            *(_styled(progress.cells.get((host, layer)), now) for layer in layers),
            *(column.get(host, "") for column in further.values()),
        ]
        for host in progress.hosts
    ]
    return terminal.Grid(["host", *layers, *further], rows)


def _went_wrong(progress: Progress, layer: str) -> bool:
    return any(failed == layer for _, failed, _ in progress.failures())


def _styled(cell: Cell | None, now: float) -> str:
    return "" if cell is None else f"[{COLOURS.get(cell.state, 'dim')}]{escape(cell.text(now))}[/]"


if __name__ == "__main__":
    sys.exit(main())
