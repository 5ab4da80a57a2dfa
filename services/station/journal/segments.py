# SPDX-License-Identifier: Apache-2.0
"""Segments: the files of the journal, read forward and checked line by line.

A line is `<sequence> TAB <hash in hex> TAB <record> LF`; a file is named after its first sequence and begins with the
recorder's note `genesis` or `segment`, which says what came before. So reading can begin at any file.
"""

from __future__ import annotations

import os
import re
from binascii import hexlify
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from station.domain.operation import JournalNote
from station.errors import Poison, StationError
from station.journal import record as records
from station.journal.chain import CHAIN_ID_BYTES, HASH_BYTES, Head, extend, link

SUFFIX = ".segment"
# With its copies a block stays in a processor's own cache: 1 MiB at once was verified a sixth more slowly.
BLOCK_BYTES = 1 << 17
_BEFORE_RECORD = 2 * HASH_BYTES + 2  # the hash in hex and two tabs
_NAME = re.compile(r"\d{12}\.segment")
_LINE = re.compile(rb"([1-9]\d{0,18})\t([0-9a-f]{64})\t.+", re.DOTALL)

Kind = Literal["gap", "link", "hash", "projection", "fork", "truncation", "anchor", "signature"]
# Sequence, hash in hex, record.
Line = tuple[int, bytes, bytes]


class Altered(StationError):  # noqa: N818 - it is what is the matter with history
    """History is not what was written.

    Attributes:
        sequence: the first record that is not as it was, or is not there.
        kind: gap: a record is missing; link: a segment does not continue the one before; hash: a line is not what its
            hash says; projection: a row says other than its record; fork: two histories claim one sequence; truncation:
            more was signed or stored than there is; anchor: a copy elsewhere says otherwise; signature: not by our key.
    """

    def __init__(self, sequence: int, kind: Kind, detail: str) -> None:
        super().__init__(f"record {sequence}: {kind}: {detail}")
        self.sequence = sequence
        self.kind: Kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Start:
    """What the first record of a segment says: which chain, and its head before this record."""

    chain_id: bytes
    head: Head
    note: JournalNote


def path_of(folder: Path, first: int) -> Path:
    """Return the file that begins with a sequence."""
    return folder / f"{first:012d}{SUFFIX}"


def first_of(path: Path) -> int:
    """Return the sequence that a file is named after."""
    return int(path.name.removesuffix(SUFFIX))


def segments(folder: Path) -> list[Path]:
    """Return the files of a journal, the oldest first.

    Raises:
        StationError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError as error:
        raise StationError(f"{folder}: {error.strerror}; name the folder of a journal") from error


def segment_with(folder: Path, sequence: int) -> Path:
    """Return the file that has, or would have, a sequence.

    Raises:
        Altered: the journal does not begin before that sequence.
    """
    before = [path for path in segments(folder) if first_of(path) <= sequence]
    if not before:
        raise Altered(1, "gap", f"{path_of(folder, 1).name} is missing")
    return before[-1]


def start_of(path: Path) -> Start:
    """Return what the first record of a file says.

    Raises:
        Altered: it does not say where it belongs.
    """
    first = first_of(path)
    start = _start(first_line(path))
    if start is None:
        raise Altered(first, "hash", f"the first line of {path.name} is not what its hash says")
    if start.head.sequence + 1 != first:
        raise Altered(first, "link", f"{path.name} begins with record {start.head.sequence + 1}")
    return start


class Reader:
    """Reads a journal from the beginning of a segment on, and follows it while it grows.

    Attributes:
        start: what the segment says that reading began with.
        chain_id: the chain that is read.
        head: the last record that was read.
        path: the file that is being read.
        rest: bytes behind the last line of the newest file: being written, or torn.
    """

    def __init__(self, path: Path) -> None:
        self.start = start_of(path)
        self.chain_id = self.start.chain_id
        self.head = self.start.head
        self.path = path
        self.rest = 0
        self._offset = 0
        self._ahead = [other for other in segments(path.parent) if first_of(other) > first_of(path)]
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @classmethod
    def at_beginning(cls, folder: Path) -> Self:
        """Return a reader of a whole journal.

        Raises:
            Altered: the first segment is missing or damaged.
            StationError: there is no journal.
        """
        if not segments(folder):
            raise StationError(f"{folder}: no segment is there; name the folder of a journal")
        return cls(segment_with(folder, 1))

    def read(self, until: int | None = None, size: int = BLOCK_BYTES) -> list[Line]:
        """Return the next lines, none if there are no more; each is checked against those before it.

        Args:
            until: the last sequence to return; what lies behind may still be taken back by the writer.
            size: bytes to read at once.

        Raises:
            Altered: a line is not what it was.
        """
        while until is None or until > self.head.sequence:
            lines = self._lines(size)
            if lines:
                return self._take(lines if until is None else lines[: until - self.head.sequence])
            if not self._next_segment():
                break
        return []

    def blocks(self, until: int | None = None) -> Iterator[list[Line]]:
        """Yield lines until there are no more."""
        while lines := self.read(until):
            yield lines

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _lines(self, size: int) -> list[bytes]:
        while True:
            block = os.pread(self._file, size, self._offset)
            end = block.rfind(b"\n")
            if end >= 0:
                return block[:end].split(b"\n")
            if len(block) < size:
                self.rest = len(block)
                return []
            size *= 2  # a line longer than that

    def _take(self, lines: Sequence[bytes]) -> list[Line]:
        first = self.head.sequence + 1
        # What stands before a record has a known length.
        bodies = [line[len(str(sequence)) + _BEFORE_RECORD :] for sequence, line in enumerate(lines, first)]
        hashes = extend(self.chain_id, self.head, bodies)
        taken = [
            (sequence, hexlify(digest), body)
            for sequence, (digest, body) in enumerate(zip(hashes, bodies, strict=True), first)
        ]
        # Made again and compared, the record itself apart, which was cut from the line: a line has one spelling.
        if not all(line.startswith(b"%d\t%b\t" % own[:2]) for line, own in zip(lines, taken, strict=True)):
            raise diagnose(self.chain_id, self.head, lines)
        if taken:
            self.head = Head(taken[-1][0], hashes[-1])
            self._offset += sum(map(len, lines)) + len(lines)
        return taken

    def _next_segment(self) -> bool:
        expected = self.head.sequence + 1
        if not self._ahead and path_of(self.path.parent, expected).exists():
            self._ahead = [path_of(self.path.parent, expected)]
        if not self._ahead:
            return False
        path = self._ahead[0]
        line = first_line(path)
        if not line.endswith(b"\n") and len(self._ahead) == 1:
            self.rest += len(line)  # just made: nothing of it counts yet
            return False
        if self.rest:
            raise Altered(expected, "hash", f"the last line of {self.path.name} is cut off")
        self._check_join(path, line)
        os.close(self._file)
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.path, self._offset, self._ahead = path, 0, self._ahead[1:]
        return True

    def _check_join(self, path: Path, line: bytes) -> None:
        first = first_of(path)
        if first > self.head.sequence + 1:
            raise Altered(self.head.sequence + 1, "gap", f"{path.name} follows record {self.head.sequence}")
        if first <= self.head.sequence:
            raise Altered(first, "fork", f"{path.name} begins inside {self.path.name}")
        start = _start(line)
        if start is None:
            raise diagnose(self.chain_id, self.head, [line.removesuffix(b"\n")])
        if start.chain_id != self.chain_id or start.head != self.head:
            raise Altered(first, "link", f"{path.name} does not continue {self.path.name}")


def diagnose(chain_id: bytes, head: Head, lines: Sequence[bytes]) -> Altered:
    """Return what is wrong with the first line that does not follow from the ones before."""
    for line in lines:
        expected = head.sequence + 1
        match = _LINE.fullmatch(line)
        if match is None:
            return Altered(expected, "hash", "the line is not a record")
        head = link(chain_id, head, line.split(b"\t", 2)[2])
        number, fits = int(match[1]), match[2] == hexlify(head.hash)
        if number == expected and fits:
            continue
        if number == expected or fits:
            return Altered(expected, "hash", "the line is not what its hash says")
        if number > expected:
            return Altered(expected, "gap", f"record {number} stands in its place")
        return Altered(number, "fork", f"a second record {number} stands behind record {expected - 1}")
    return Altered(head.sequence, "hash", "the line is not what its hash says")


def first_line(path: Path) -> bytes:
    """Return the first line of a file, its line feed included if it has one."""
    with path.open("rb") as file:
        return file.readline()


def _start(line: bytes) -> Start | None:
    """Return what a first line says if it is whole and is what its hash says."""
    match = _LINE.fullmatch(line[:-1])
    if match is None or not line.endswith(b"\n"):
        return None
    number, body = int(match[1]), line[:-1].split(b"\t", 2)[2]
    try:
        note = records.note_of(records.parse(body))
    except Poison:
        return None
    if note is None or note.note != ("genesis" if number == 1 else "segment"):
        return None
    chain_id = _bytes(note, "chain", CHAIN_ID_BYTES)
    previous = bytes(HASH_BYTES) if number == 1 else _bytes(note, "previous", HASH_BYTES)
    if chain_id is None or previous is None:
        return None
    head = Head(number - 1, previous)
    return Start(chain_id, head, note) if hexlify(link(chain_id, head, body).hash) == match[2] else None


def _bytes(note: JournalNote, key: str, length: int) -> bytes | None:
    try:
        found = bytes.fromhex(note.detail.get(key, ""))
    except ValueError:
        return None
    return found if len(found) == length else None
