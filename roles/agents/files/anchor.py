#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps checkpoints of a journal in a file that only grows, and refuses another history.

    anchor FILE < note

The note (origin, size, hash, an empty line, a signature) is appended if its origin is that of the file and its size is
greater than the last. The signature is for whoever compares: `station journal verify` has the key, this host does not.

Prints one line. Exit status 0: the file has it; 2: the note or the file cannot be used; 3: refused, another history.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
from typing import NamedTuple

# ssh hands on the exit status, and has 255 for itself.
KEPT, UNUSABLE, REFUSED = 0, 2, 3
LONGEST = 4096
NOTE = re.compile(
    rb"(?P<origin>[^\n]{1,256})\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<hash>[A-Za-z0-9+/]{43}=)\n"
    rb"\n\xe2\x80\x94 [^\s+]{1,256} [A-Za-z0-9+/]{1,256}={0,2}\n"
)


class Note(NamedTuple):
    """What a note says."""

    origin: bytes
    size: int
    hash: bytes


def parse(data: bytes) -> Note | None:
    """Return what a note says, None if it is none."""
    match = NOTE.fullmatch(data)
    return Note(match["origin"], int(match["size"]), match["hash"]) if match else None


def last_of(tail: bytes) -> Note | None:
    """Return the last whole note in the end of a file; what was torn stays where it is, for the file only grows."""
    found = None
    for match in NOTE.finditer(tail):
        found = Note(match["origin"], int(match["size"]), match["hash"])
    return found


def objection(last: Note | None, new: Note) -> str:
    """Return why a note is not the continuation of the last one, "" if it is."""
    if last is None:
        return ""
    if new.origin != last.origin:
        return f"its origin is {new.origin.decode(errors='replace')}, not {last.origin.decode(errors='replace')}"
    if new.size < last.size:
        return f"it has {new.size} records, {last.size} were signed before"
    if new.size == last.size and new.hash != last.hash:
        return f"it has another record {new.size} than was signed before"
    return ""


def keep(path: str, data: bytes) -> tuple[int, str]:
    """Append a note to a file if it continues it; return the exit status and what to say."""
    new = parse(data)
    if new is None:
        return UNUSABLE, "standard input is no checkpoint"
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file).st_size
        tail = os.pread(file, LONGEST, max(end - LONGEST, 0))
        last = last_of(tail)
        if end and last is None:
            return UNUSABLE, f"{path} has no checkpoint at its end"
        refusal = objection(last, new)
        if refusal:
            return REFUSED, f"refused: {refusal}"
        if last is None or new.size > last.size:
            # Behind a torn note a line begins anew.
            data = data if tail.endswith(b"\n") or not tail else b"\n" + data
            if os.write(file, data) != len(data):
                return UNUSABLE, f"{path}: no space for a whole checkpoint"
            os.fsync(file)
        return KEPT, f"kept {new.size} {new.hash.decode()}"
    finally:
        os.close(file)


def main(words: list[str]) -> int:
    """Keep the note on standard input."""
    if len(words) != 1:
        print("usage: anchor FILE < note", file=sys.stderr)
        return UNUSABLE
    try:
        status, text = keep(words[0], sys.stdin.buffer.read(LONGEST))
    except OSError as error:
        status, text = UNUSABLE, f"{words[0]}: {error.strerror}"
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
