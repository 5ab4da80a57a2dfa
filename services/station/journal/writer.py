# SPDX-License-Identifier: Apache-2.0
"""The one that writes segments: a batch is one write and one fdatasync, and half a batch is taken back."""

from __future__ import annotations

import fcntl
import os
from binascii import hexlify
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from station.errors import StationError, Unavailable
from station.journal.chain import Head, extend
from station.journal.segments import path_of, segments

SEGMENT_BYTES = 64 << 20
_MODE = 0o640


class Lock:
    """Held by the only recorder of a folder; its end, however it comes, gives it up."""

    def __init__(self, folder: Path) -> None:
        """Take it.

        Raises:
            StationError: another recorder has it, or the folder cannot be written.
        """
        try:
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        except OSError as error:
            raise StationError(f"{folder}: {error.strerror}; the recorder needs a folder of its own") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StationError(f"{folder}: another recorder writes this journal; stop it first") from error

    def release(self) -> None:
        """Give it up."""
        os.close(self._file)


class SegmentWriter:
    """Appends to a journal. The folder's lock has to be held by whoever made it.

    Attributes:
        chain_id: of the chain.
        head: the last record that is on the disk for good.
        full: the next batch begins a new segment, so its first record has to be the note that says what came before.
    """

    def __init__(self, folder: Path, chain_id: bytes, head: Head, limit: int = SEGMENT_BYTES) -> None:
        """Begin behind a head that was read and checked.

        Args:
            folder: where the segments are.
            chain_id: of the chain.
            head: the end of the newest segment, the origin if there is none.
            limit: bytes above which a segment is full.
        """
        self.head = head
        self.chain_id = chain_id
        self._folder, self._limit = folder, limit
        self._file, self._size, self._torn = -1, 0, False
        self._path = path_of(folder, head.sequence + 1)
        if head.sequence:
            self._path = segments(folder)[-1]
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._file).st_size

    @property
    def full(self) -> bool:
        """Say whether the next batch begins a new segment."""
        return self._file < 0 or self._size >= self._limit

    def append(self, batch: Sequence[bytes]) -> None:
        """Add records, all or none; they are on the disk afterwards.

        Raises:
            Unavailable: the disk does not take them now. The journal is as before, the same batch can be tried again.
        """
        hashes = extend(self.chain_id, self.head, batch)
        first = self.head.sequence + 1
        lines = [
            b"%d\t%b\t%b\n" % (sequence, hexlify(digest), record)
            for sequence, (digest, record) in enumerate(zip(hashes, batch, strict=True), first)
        ]
        data = b"".join(lines)
        try:
            if self._torn:
                self._take_back()
            if self.full:
                self._begin(path_of(self._folder, first))
            self._torn = True
            write_all(self._file, data)
            os.fdatasync(self._file)
            if not self._size:
                sync_folder(self._folder)
        except OSError as error:
            with suppress(OSError):  # else before the next batch
                self._take_back()
            raise Unavailable(f"{self._path}: {error.strerror}; the journal goes on when the disk does") from error
        self._torn = False
        self._size += len(data)
        self.head = Head(first + len(batch) - 1, hashes[-1])

    def close(self) -> None:
        """Close the file; everything in it is on the disk already."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin(self, path: Path) -> None:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        self.close()
        self._file, self._path, self._size = file, path, 0

    def _take_back(self) -> None:
        os.ftruncate(self._file, self._size)
        os.fdatasync(self._file)
        self._torn = False


def write_all(file: int, data: bytes) -> None:
    """Write all of some bytes: a disk that is nearly full takes a part without an error."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_folder(folder: Path) -> None:
    """Make names that were added to a folder or taken out of it last."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
