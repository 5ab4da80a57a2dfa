# SPDX-License-Identifier: Apache-2.0
"""Anchors: places outside the recorder's reach that keep what was signed, and refuse another history.

An anchor is the program roles/anchor/files/anchor.py behind a socket: on the recorder's host as another user, or on
another host. Each has a thread of its own, and only the newest note waits, so that one that hangs costs nothing.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

# What the first word of an anchor's answer means; any other answer is none.
_KEPT, _REFUSED = "kept", "refused:"
_HAS = re.compile(rb"has (0|[1-9][0-9]{0,18})")
_LONGEST_ANSWER = 4096
_BLOCK = 65536
# An anchor gives up after 30 s.
_FETCH_S = 40.0
LARGEST_BYTES = 1 << 30
# A note costs an anchor the start of a process, about 0.1 s of a CPU, and stays there for good, 200 bytes.
EVERY_S = 10.0


class Way(Protocol):
    """How to reach an anchor."""

    def __call__(self, note: bytes) -> str:
        """Hand over a note and return the answer.

        Raises:
            OSError: there is none.
        """


@dataclass(frozen=True, slots=True)
class Listener:
    """An anchor's socket, behind which the program runs for each connection.

    Attributes:
        place: its path, or <host>:<port>.
        timeout_s: seconds after which an answer to a note is given up.
    """

    place: str
    timeout_s: float = 10.0

    def __call__(self, note: bytes) -> str:
        """Hand over a note and return the answer."""
        said = b""
        for part in self._answer(note, self.timeout_s):
            said += part
            if len(said) >= _LONGEST_ANSWER:
                break
        return _line(said)

    def fetch(self, journal: str, file: IO[bytes]) -> None:
        """Write what the anchor keeps of a journal to a file.

        Args:
            journal: its name.
            file: takes the notes.

        Raises:
            OSError: there is no answer, or not the whole.
        """
        answer, said = self._answer(b"read %b\n" % journal.encode(), _FETCH_S), b""
        for part in answer:
            said += part
            if b"\n" in said or len(said) >= _LONGEST_ANSWER:
                break
        head, _, rest = said.partition(b"\n")
        found = _HAS.fullmatch(head)
        if found is None:
            raise OSError(_line(head) or "no answer")
        size, written = int(found[1]), file.write(rest)
        if size > LARGEST_BYTES:
            raise OSError(f"it keeps {size:,} bytes, too many to ask for; copy them, see --anchor")
        for part in answer:
            written += file.write(part)
            if written > size:
                break
        if written != size:
            raise OSError(f"{written:,} bytes came of the {size:,} that it has")

    def _answer(self, request: bytes, seconds: float) -> Iterator[bytes]:
        end = time.monotonic() + seconds
        host, _, port = self.place.rpartition(":")
        with socket.socket(socket.AF_INET if host else socket.AF_UNIX) as channel:
            channel.settimeout(seconds)
            channel.connect((host, int(port)) if host else self.place)
            channel.sendall(request)
            channel.shutdown(socket.SHUT_WR)
            while True:
                # One that sends a byte now and then does not get more time.
                channel.settimeout(max(end - time.monotonic(), 0.001))
                part = channel.recv(_BLOCK)
                if not part:
                    return
                yield part


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

    def __init__(self, name: str, way: Way, every_s: float = EVERY_S) -> None:
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
