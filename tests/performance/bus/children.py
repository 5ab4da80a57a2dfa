# SPDX-License-Identifier: Apache-2.0
"""Processes of a bench's own: started with a function, ended with the bench, and what they cost."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from fleet.errors import UserError

_SPAWN = multiprocessing.get_context("spawn")  # nothing of the bench's own memory and threads in it
_TICKS = os.sysconf("SC_CLK_TCK")


class Child:
    """A process that does one thing and answers once, inside a `with`, at whose end it is gone.

    Attributes:
        pid: its process id.
    """

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Start it.

        Args:
            work: a function of a module; its first argument is the connection to the bench, and what it returns is the
                answer.
            arguments: the others.
        """
        self._here, there = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_run, args=(there, work, arguments), daemon=True)
        self._process.start()
        there.close()
        self.pid = self._process.pid or 0
        self._name = work.__name__

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        self._process.join()
        self._here.close()

    def tell(self, word: str) -> None:
        """Send it a word."""
        self._here.send(word)

    def hear(self, seconds: float) -> Any:
        """Return what it says next, its answer at last.

        Args:
            seconds: how long to wait for it.

        Raises:
            UserError: it said nothing.
        """
        try:
            if self._here.poll(seconds):
                return self._here.recv()
        except EOFError:
            raise UserError(f"{self._name} ended early: see its words above") from None
        raise UserError(f"{self._name} says nothing for {seconds:.0f} s: see what else the machine does, and repeat")


@dataclass(frozen=True)
class Usage:
    """What a process has cost up to now.

    Attributes:
        cpu_s: seconds of processor time.
        rss: bytes of memory that are resident.
        anonymous: those of them that no file stands behind.
    """

    cpu_s: float
    rss: int
    anonymous: int


def usage(pid: int, proc: Path = Path("/proc")) -> Usage:
    """Return what a running process has cost."""
    # The name of a program may hold spaces, and ends with the last bracket.
    fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    memory = _kibibytes((proc / str(pid) / "status").read_text())
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
    return Usage(cpu_s, memory["VmRSS"] * 1024, memory["RssAnon"] * 1024)


def busy_s(proc: Path = Path("/proc")) -> float:
    """Return the seconds for which the processors did anything since the machine was started, for whomever."""
    user, nice, system, _idle, _waiting, *rest = (proc / "stat").read_text().splitlines()[0].split()[1:9]
    return sum(map(int, (user, nice, system, *rest))) / _TICKS


def _kibibytes(status: str) -> Mapping[str, int]:
    lines = (line.split() for line in status.splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[-1] == "kB"}


def _run(bench: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench has heard it too, and ends us
    bench.send(work(bench, *arguments))
