# SPDX-License-Identifier: Apache-2.0
"""Run a program that writes events, and show how far it is: a table that changes, or a line for what has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console, RenderableType
from rich.live import Live

from fleet import terminal
from fleet.paths import PROJECT

# The program writes its events to this descriptor, one JSON object a line.
DESCRIPTOR = "FLEET_PROGRESS_FD"
INTERRUPTED = 130  # a shell's status for it


@dataclass(frozen=True)
class View:
    """What a person sees of a run.

    Attributes:
        take: takes in one event, and returns a line for each thing that it ended.
        draw: returns the table as it stands now.
    """

    take: Callable[[Mapping[str, Any]], Iterable[str]]
    draw: Callable[[], RenderableType]


def run(command: Sequence[str], environment: Mapping[str, str], log: Path, view: View, verbose: bool) -> int:
    """Run a program in the project's folder and return its exit status.

    Args:
        command: its words.
        environment: its variables; the descriptor for its events is added.
        log: file that gets what it prints.
        view: what a person sees meanwhile.
        verbose: show what it prints instead.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    with log.open("w") as stream, _shown(terminal.console(), view, silent=verbose) as show:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**environment, DESCRIPTOR: str(write_end)},
            stdout=subprocess.PIPE if verbose else stream,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            text=True,
        )
        os.close(write_end)
        reader = threading.Thread(target=_follow, args=(read_end, show), daemon=True)
        reader.start()
        try:
            if verbose and process.stdout is not None:
                _tee(process.stdout, stream)
            status = process.wait()
        except KeyboardInterrupt:
            # The program was interrupted, too: it ends in its own way, and what it did so far is told.
            status = process.wait() or INTERRUPTED
        reader.join(timeout=5)  # a forgotten child may keep the pipe open
    return status


@contextmanager
def _shown(console: Console, view: View, silent: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    # What draws the table is another thread than what takes the events in.
    turn = threading.Lock()

    def take(event: Mapping[str, Any]) -> None:
        with turn:
            lines = list(view.take(event))
        if not (live or silent):
            for line in lines:
                console.print(line, highlight=False, markup=False, soft_wrap=True)

    def draw() -> RenderableType:
        with turn:
            return view.draw()

    live = console.is_terminal and not silent
    if live:
        # Drawn anew four times a second, so that times go on while nothing ends.
        with Live(get_renderable=draw, console=console, refresh_per_second=4, transient=True):
            yield take
    else:
        yield take


def _follow(descriptor: int, take: Callable[[Mapping[str, Any]], None]) -> None:
    with os.fdopen(descriptor) as events:
        for line in events:
            take(json.loads(line))


def _tee(source: IO[str], log: IO[str]) -> None:
    for line in source:
        sys.stdout.write(line)
        sys.stdout.flush()
        log.write(line)
