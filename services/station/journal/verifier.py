# SPDX-License-Identifier: Apache-2.0
"""Compares segments, checkpoints, anchors and QuestDB with each other, in one pass and with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from station.clock import Clock, SystemClock
from station.errors import Poison, StationError, Unavailable
from station.journal.chain import Head
from station.journal.checkpoint import BadNote, Checkpoint, VerifierKey, last_lines, notes, opened, origin_of
from station.journal.checkpoint_log import EVERY_RECORDS, NAME
from station.journal.copies import CopyCheck
from station.journal.segments import Altered, Kind, Line, Reader, segments
from station.journal.store import Copy

# The recorder signs after a batch that completes so many; a batch has at most 1,000 entries of each stream.
UNSIGNED_RECORDS = 100 * EVERY_RECORDS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification came to.

    Attributes:
        ok: nothing is altered.
        checked: records up to which everything was compared.
        first_break: the first record that is not as it was, None if there is none.
        kind: what is the matter with it (`segments.Altered`), "" if nothing.
        detail: the same in words.
        signed: records that the newest checkpoint covers; a change behind it would not be found.
        anchored: records that each anchor's newest copy covers.
        stored: rows that QuestDB holds, None if it was not asked.
        torn: bytes behind the last whole line: being written, or left by a crash.
    """

    ok: bool
    checked: int
    first_break: int | None
    kind: Kind | str
    detail: str
    signed: int
    anchored: Mapping[str, int]
    stored: int | None
    torn: int

    def text(self) -> str:
        """Return the line for a person."""
        if not self.ok:
            return f"altered at record {self.first_break}: {self.kind}: {self.detail}"
        parts = [f"{self.checked:,} records are as they were written", f"{self.signed:,} of them signed"]
        parts += [f"{count:,} anchored at {name}" for name, count in self.anchored.items()]
        parts += [] if self.stored is None else [f"{self.stored:,} in QuestDB"]
        return ", ".join(parts)


class Check(Protocol):
    """Something that is compared with the chain while it is read."""

    def lines(self, lines: Sequence[Line]) -> None:
        """Compare the next lines.

        Raises:
            Altered: they do not agree.
        """

    def end(self, head: Head) -> None:
        """Compare the end.

        Raises:
            Altered: something is missing there.
        """


class SignedCheck:
    """Compares a file of checkpoints, ours or an anchor's copy.

    Attributes:
        name: the anchor, "" for our own file.
        signed: records that a note covers which agrees.
    """

    def __init__(self, file: IO[bytes], name: str, keys: Sequence[VerifierKey], chain_id: bytes) -> None:
        self.name, self.signed = name, 0
        self._keys, self._origins = keys, {origin_of(key.name, chain_id) for key in keys}
        self._kind: Kind = "anchor" if name else "fork"
        # What is added from here on is of records that this pass may not see.
        end = file.seek(0, 2)
        file.seek(0)
        self._notes = self._checkpoints(notes(file, end))
        self._next = next(self._notes, None)

    def lines(self, lines: Sequence[Line]) -> None:
        """Compare the notes that are of these lines."""
        first, last = lines[0][0], lines[-1][0]
        while self._next is not None and self._next.head.sequence <= last:
            sequence = self._next.head.sequence
            if sequence < max(first, self.signed):
                raise Altered(sequence, self._kind, f"{self._what()} goes back to record {sequence}")
            if lines[sequence - first][1].decode() != self._next.head.hash.hex():
                raise Altered(
                    self.signed + 1,
                    self._kind,
                    f"{self._what()} of {sequence} records is of another history than these",
                )
            self.signed = sequence
            self._next = next(self._notes, None)

    def end(self, head: Head) -> None:
        """See that nothing was signed behind the end, and that the end is signed."""
        if self._next is not None:
            raise Altered(head.sequence + 1, "truncation", f"{self._what()} is of {self._next.head.sequence} records")
        if not self.name and head.sequence - self.signed > UNSIGNED_RECORDS:
            raise Altered(self.signed + 1, "signature", f"{head.sequence - self.signed} records are not signed")

    def _checkpoints(self, found: Iterator[bytes]) -> Iterator[Checkpoint]:
        for note in found:
            # An anchor's file only grows, so a note that was torn there stays; ours is cut.
            whole = last_lines(note) if self.name else note
            try:
                checkpoint = opened(whole, self._keys)
            except BadNote as error:
                raise Altered(self.signed + 1, "signature", f"{self._what()}: {error}") from None
            if checkpoint.origin not in self._origins:
                raise Altered(self.signed + 1, self._kind, f"{self._what()} is of another chain, {checkpoint.origin}")
            yield checkpoint

    def _what(self) -> str:
        return f"a checkpoint that {self.name} keeps" if self.name else "a checkpoint"


def verify(
    folder: Path,
    keys: Sequence[VerifierKey],
    anchors: Mapping[str, Path],
    copy: Copy | None = None,
    clock: Clock | None = None,
) -> Verdict:
    """Compare a journal with everything that vouches for it. The recorder may be writing meanwhile.

    Args:
        folder: of the segments.
        keys: the journal's keys, the present one and those before.
        anchors: the file of checkpoints that each anchor keeps.
        copy: the database, if it is to be compared.
        clock: tells how long the database may lag.

    Raises:
        StationError: it could not be done.
    """
    if not keys:
        raise StationError("no key is given; without the journal's verifier key nobody can tell who signed")
    with ExitStack() as stack:
        try:
            return _verify(stack, folder, keys, anchors, CopyCheck(copy, clock or SystemClock()) if copy else None)
        except Unavailable as error:
            raise StationError(f"{error}; start it, or verify without it") from error
        except OSError as error:
            raise StationError(f"{folder}: {error}; the verifier has to read it") from error


def _verify(
    stack: ExitStack,
    folder: Path,
    keys: Sequence[VerifierKey],
    anchors: Mapping[str, Path],
    copy: CopyCheck | None,
) -> Verdict:
    checked, torn, found = 0, 0, None
    signed: list[SignedCheck] = []
    try:
        files = {"": folder / NAME, **anchors}
        _check_not_empty(folder, files)
        reader = stack.enter_context(closing(Reader.at_beginning(folder)))
        # One after the other, so that what our own file says of the first record is said first.
        for name, path in files.items():
            file = stack.enter_context(_open(path, name))
            signed.append(SignedCheck(file, name, keys, reader.chain_id))
        checks: list[Check] = [*signed, *([copy] if copy else [])]
        for lines in reader.blocks():
            for check in checks:
                check.lines(lines)
            checked = lines[-1][0]
        torn = reader.rest
        for check in checks:
            check.end(reader.head)
    except Altered as error:
        found = error
    except Poison as error:
        found = Altered(checked + 1, "hash", str(error))
    return Verdict(
        ok=found is None,
        checked=checked,
        first_break=found.sequence if found else None,
        kind=found.kind if found else "",
        detail=found.detail if found else "",
        signed=signed[0].signed if signed else 0,
        anchored={check.name: check.signed for check in signed if check.name},
        stored=copy.stored if copy else None,
        torn=torn,
    )


def _check_not_empty(folder: Path, files: Mapping[str, Path]) -> None:
    if not segments(folder) and any(path.is_file() and path.stat().st_size for path in files.values()):
        raise Altered(1, "truncation", "records were signed, but no segment is there")


def _open(path: Path, name: str) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        if name:
            raise StationError(f"{path}: the copy of anchor {name} is not there; fetch it, or leave it out") from None
        raise Altered(1, "signature", f"{path.name} is missing: nothing is signed") from None
    except OSError as error:
        raise StationError(f"{path}: {error.strerror}; the verifier has to read it") from error
