# SPDX-License-Identifier: Apache-2.0
"""Anchors: places outside the recorder's reach that keep what was signed, and refuse another history.

An anchor is the program roles/agents/files/anchor.py, at the end of an ssh command to another host or behind a socket
that the oversight user listens on. Each has a thread of its own, and only the newest note waits, so that one that hangs
costs nothing.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# What the first word of an anchor's answer means; any other answer is none.
_KEPT, _REFUSED = "kept", "refused:"
_LONGEST_ANSWER = 4096


class Way(Protocol):
    """How to reach an anchor."""

    def __call__(self, note: bytes) -> str:
        """Hand over a note and return the answer.

        Raises:
            OSError: there is none.
        """


@dataclass(frozen=True, slots=True)
class Command:
    """A command that gets the note on its standard input.

    Attributes:
        words: the command line.
        timeout_s: seconds after which it is given up.
    """

    words: Sequence[str]
    timeout_s: float = 10.0

    def __call__(self, note: bytes) -> str:
        """Run it once."""
        try:
            done = subprocess.run(self.words, input=note, capture_output=True, timeout=self.timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"nothing within {self.timeout_s:g} s") from None
        return _line(done.stdout or done.stderr)


@dataclass(frozen=True, slots=True)
class Socket:
    """A UNIX socket behind which the program runs for each connection.

    Attributes:
        path: of the socket.
        timeout_s: seconds after which it is given up.
    """

    path: Path
    timeout_s: float = 10.0

    def __call__(self, note: bytes) -> str:
        """Connect once."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(self.timeout_s)
            channel.connect(str(self.path))
            channel.sendall(note)
            channel.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < _LONGEST_ANSWER and (part := channel.recv(_LONGEST_ANSWER)):
                answer += part
        return _line(answer)


@dataclass(slots=True)
class State:
    """How it goes with an anchor, for metrics and alarms.

    Attributes:
        kept: notes that it took.
        failed: times that it did not answer.
        refused: times that it said it has another history.
        trouble: what is the matter, "" if it took the last note.
    """

    kept: int = 0
    failed: int = 0
    refused: int = 0
    trouble: str = ""


class Anchor:
    """Hands notes to one anchor.

    Attributes:
        name: what alarms call it.
        state: how it goes.
    """

    def __init__(self, name: str, way: Way, every_s: float = 1.0) -> None:
        """Set it up without any I/O.

        Args:
            name: what alarms call it.
            way: how to reach it.
            every_s: seconds from one note to the next, at least.
        """
        self.name, self.state = name, State()
        self._way, self._every_s = way, every_s
        self._changed = threading.Condition()
        self._note = b""
        self._stopping = False

    def offer(self, note: bytes) -> None:
        """Leave a note for the anchor; it takes the place of one that still waits."""
        with self._changed:
            self._note = note
            self._changed.notify()

    def stop(self) -> None:
        """Let `run` return once the note that waits was tried."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Hand over notes until told to stop; one that was not answered is tried again unless there is a newer one."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._note or self._stopping)
                note, self._note = self._note, b""
            if not note:
                return
            answered = self.hand_over(note)
            with self._changed:
                if not answered and not self._note and not self._stopping:
                    self._note = note
                self._changed.wait_for(lambda: self._stopping, self._every_s)

    def hand_over(self, note: bytes) -> bool:
        """Hand over a note once and return whether it was answered."""
        state = self.state
        try:
            answer = self._way(note)
        except OSError as error:
            answer = f"no answer: {error}"
        word = answer.partition(" ")[0]
        if word == _KEPT:
            state.kept += 1
            state.trouble = ""
        elif word == _REFUSED:
            state.refused += 1
            state.trouble = f"anchor {self.name} has another history: {answer}; run `station journal verify`"
        else:
            state.failed += 1
            state.trouble = f"anchor {self.name}: {answer or 'no answer'}"
        return word in {_KEPT, _REFUSED}


def _line(answer: bytes) -> str:
    return " ".join(answer.decode(errors="replace").split())
