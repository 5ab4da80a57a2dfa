# SPDX-License-Identifier: Apache-2.0
"""The file `checkpoints` beside the segments: the notes that were signed, one behind the other."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from station.errors import StationError, Unavailable
from station.journal.chain import Head
from station.journal.checkpoint import BadNote, Checkpoint, Signer, VerifierKey, last_lines, notes, opened, origin_of
from station.journal.writer import write_all

NAME = "checkpoints"
EVERY_RECORDS = 1000
EVERY_NS = 1_000_000_000
# A note is less than 400 bytes, and one that is torn may lie behind the last.
_TAIL_BYTES = 4096
_SIGNATURE = re.compile(rb"\n\xe2\x80\x94 [^\n]*\n")


class CheckpointLog:
    """Signs heads and keeps the notes.

    Attributes:
        signed: the sequence up to which the chain is signed.
        note: the newest note of this process, b"" if there is none.
    """

    def __init__(self, folder: Path, signer: Signer, chain_id: bytes, signed: int) -> None:
        """Go on behind the newest note.

        Args:
            folder: of the journal.
            signer: the journal's key.
            chain_id: the chain that is signed.
            signed: what the newest note says.

        Raises:
            StationError: the file cannot be written.
        """
        self.signed, self.note = signed, b""
        self._path = folder / NAME
        self._signer, self._origin = signer, origin_of(signer.verifier.name, chain_id)
        self._signed_ns = 0
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            self._size = _whole(self._path)
            os.ftruncate(self._file, self._size)
        except OSError as error:
            raise StationError(f"{self._path}: {error.strerror}; the recorder has to write it") from error

    def due(self, head: Head, now_ns: int) -> bool:
        """Say whether a head is to be signed now."""
        new = head.sequence - self.signed
        return new >= EVERY_RECORDS or (new > 0 and now_ns - self._signed_ns >= EVERY_NS)

    def add(self, head: Head, now_ns: int) -> None:
        """Sign a head; the note is on the disk afterwards.

        Raises:
            Unavailable: the disk does not take it now; the file is as before.
        """
        note = self._signer.sign(Checkpoint(self._origin, head).text())
        try:
            write_all(self._file, note)
            os.fdatasync(self._file)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise Unavailable(f"{self._path}: {error.strerror}; the journal goes on when the disk does") from error
        self._size += len(note)
        self.signed, self.note, self._signed_ns = head.sequence, note, now_ns

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def newest(folder: Path, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    """Return the newest checkpoint of a folder, None if nothing was ever signed.

    Raises:
        StationError: it cannot be read, or is not signed by one of the keys.
    """
    path = folder / NAME
    try:
        end = _whole(path)
        with path.open("rb") as file:
            file.seek(max(end - _TAIL_BYTES, 0))
            found = list(notes(file, end))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StationError(f"{path}: {error.strerror}; the recorder has to read it") from error
    if not found:
        return None
    try:
        return opened(last_lines(found[-1]), keys)
    except BadNote as error:
        raise StationError(f"{path}: {error}; run `station journal verify` before anything is written") from error


def _whole(path: Path) -> int:
    """Return where the last whole note ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = max(size - _TAIL_BYTES, 0)
        file.seek(start)
        tail = file.read()
    ends = [match.end() for match in _SIGNATURE.finditer(tail)]
    return start + ends[-1] if ends else 0
