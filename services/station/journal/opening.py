# SPDX-License-Identifier: Apache-2.0
"""Opening a journal to write it, which is recovery: only the newest segment is read, whatever lies behind it."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from station.domain.operation import JournalNote
from station.errors import Poison, StationError
from station.journal import record as records
from station.journal.chain import CHAIN_ID_BYTES, Head, origin
from station.journal.checkpoint import Checkpoint, Signer, VerifierKey, origin_of
from station.journal.checkpoint_log import CheckpointLog, newest
from station.journal.heads import Heads
from station.journal.segments import Altered, Reader, segments
from station.journal.writer import SEGMENT_BYTES, Lock, SegmentWriter, sync_folder

_BLOCK_BYTES = 1 << 16


def chain_id() -> bytes:
    """Return 16 bytes that no other chain has."""
    return secrets.token_bytes(CHAIN_ID_BYTES)


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes a journal.

    Attributes:
        signer: the journal's key.
        facts: what the chain is to say about its writer, such as host and release.
        former_keys: keys that signed before this one.
        make_chain_id: makes 16 bytes that no other chain has.
    """

    signer: Signer
    facts: Mapping[str, str]
    former_keys: Sequence[VerifierKey] = ()
    make_chain_id: Callable[[], bytes] = chain_id


@dataclass(slots=True)
class Opened:
    """A journal that is ours to write.

    Attributes:
        notes: what the recorder has to write down first.
    """

    writer: SegmentWriter
    checkpoints: CheckpointLog
    heads: Heads
    notes: list[JournalNote]
    lock: Lock

    def close(self) -> None:
        """Close the files and give up the lock."""
        self.writer.close()
        self.checkpoints.close()
        self.lock.release()


@dataclass(frozen=True, slots=True)
class Found:
    """What the newest segment says."""

    chain_id: bytes
    head: Head
    heads: Heads


def open_journal(folder: Path, author: Author, limit: int = SEGMENT_BYTES) -> Opened:
    """Take the lock, cut off a torn line, check the newest segment and see that nothing signed is missing.

    Args:
        folder: where the segments are, or will be.
        author: who writes from now on.
        limit: bytes above which a segment is full.

    Raises:
        StationError: somebody else writes it, or it is not what was written; the message begins with TRUNCATION if the
            end is missing.
    """
    lock = Lock(folder)
    try:
        return _opened(folder, author, limit, lock)
    except BaseException:
        lock.release()
        raise


def _opened(folder: Path, author: Author, limit: int, lock: Lock) -> Opened:
    torn = _cut_torn(folder)
    signed = newest(folder, [author.signer.verifier, *author.former_keys])
    found = _read_newest(folder, signed)
    about = {**author.facts, "key": author.signer.verifier.text()}
    if found is None:
        made = author.make_chain_id()
        found = Found(made, origin(made), Heads())
        notes = [JournalNote(note="genesis", detail={**about, "chain": made.hex()})]
    else:
        notes = [JournalNote(note="restart", detail=about)]
    if torn is not None:
        notes.append(JournalNote(note="torn", detail=torn))
    writer = SegmentWriter(folder, found.chain_id, found.head, limit)
    log = CheckpointLog(folder, author.signer, found.chain_id, signed.head.sequence if signed else 0)
    return Opened(writer, log, found.heads, notes, lock)


def _cut_torn(folder: Path) -> dict[str, str] | None:
    """Cut off what stands behind the last line feed of the newest segment; return what it was."""
    paths = segments(folder)
    if not paths:
        return None
    path = paths[-1]
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        keep = _end_of_lines(file.fileno(), size)
        tail = os.pread(file.fileno(), size - keep, keep)
        if tail:
            file.truncate(keep)
        # The last batch may have been written and not yet been safe when its writer died.
        os.fsync(file.fileno())
    if not keep:
        path.unlink()
    sync_folder(folder)
    if not tail:
        return None
    return {"file": path.name, "bytes": str(len(tail)), "sha256": hashlib.sha256(tail).hexdigest()}


def _end_of_lines(file: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(end - _BLOCK_BYTES, 0)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _read_newest(folder: Path, signed: Checkpoint | None) -> Found | None:
    """Return what the newest segment says, None for a journal without a record."""
    paths = segments(folder)
    if not paths:
        if signed is not None:
            raise _truncated(folder, signed, 0)
        return None
    try:
        found, at_signed = _read(paths[-1], signed.head.sequence if signed else 0)
    except (Altered, Poison, ValueError) as error:
        raise StationError(f"{paths[-1]}: {error}; run `station journal verify` before anything is written") from error
    if signed is not None:
        _check_signed(folder, signed, found, at_signed)
    return found


def _read(path: Path, wanted: int) -> tuple[Found, bytes | None]:
    """Return what a segment says, and the hash of one of its records in hex if it has it."""
    heads, at_wanted = Heads(), None
    with closing(Reader(path)) as reader:
        heads.restore(reader.start.note.detail)
        for lines in reader.blocks():
            for sequence, digest, data in lines:
                heads.follow(records.parse(data))
                if sequence == wanted:
                    at_wanted = digest
        return Found(reader.chain_id, reader.head, heads), at_wanted


def _check_signed(folder: Path, signed: Checkpoint, found: Found, at_signed: bytes | None) -> None:
    if not signed.origin.endswith(origin_of("", found.chain_id)):
        raise StationError(f"{folder}: the newest checkpoint is of another chain, {signed.origin}")
    if signed.head.sequence > found.head.sequence:
        raise _truncated(folder, signed, found.head.sequence)
    if at_signed is not None and at_signed.decode() != signed.head.hash.hex():
        raise StationError(
            f"{folder}: record {signed.head.sequence} is not the one that was signed; run `station journal verify`"
        )


def _truncated(folder: Path, signed: Checkpoint, last: int) -> StationError:
    return StationError(
        f"TRUNCATION: {folder} ends with record {last}, but {signed.head.sequence} were signed; bring the missing "
        "segments back, or keep this folder as evidence and begin a new journal elsewhere"
    )
