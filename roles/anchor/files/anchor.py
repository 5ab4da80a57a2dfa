#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the checkpoints of journals, each journal's in a file that only grows, and refuses another history.

    anchor KEYS FOLDER < request

A request is a note (origin, size, hash, an empty line, a signature) or the line `read <journal>`. A note is appended to
its journal's file if one of the keys signed it, its origin is that of the file, and its size is greater than the last.
KEYS has the public keys, a line each: `<journal>+<key hash>+<base64 of 0x01 and the key>`.

Answers `kept <size> <hash>`, or `has <bytes>` and so many bytes, exit status 0; `unusable: <why>`, 2; `refused: <why>`,
another history, 3. It stands alone: the hosts that anchor have no environment of the services.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DONE, UNUSABLE, REFUSED = 0, 2, 3
LONGEST = 4096
HASH_BYTES = 4
READ = re.compile(rb"read (?P<journal>[^\s+]{1,256})\n")
NOTE = re.compile(
    rb"(?P<text>(?P<origin>(?P<journal>[^\s+]{1,256})/[0-9a-f]{32})\n(?P<size>0|[1-9][0-9]{0,18})\n"
    rb"(?P<hash>[A-Za-z0-9+/]{43}=)\n)\n\xe2\x80\x94 (?P<key>[^\s+]{1,256}) (?P<signature>[A-Za-z0-9+/]{1,256}={0,2})\n"
)


class Key(NamedTuple):
    """A public key, with the 4 bytes by which a signature names it."""

    journal: bytes
    hash: bytes
    public: Ed25519PublicKey


class Note(NamedTuple):
    """What a note says, and what of it is signed."""

    journal: bytes
    origin: bytes
    size: int
    hash: bytes
    text: bytes
    key: bytes
    signature: bytes


def read_keys(path: Path) -> list[Key]:
    """Return the keys of a file; a line that is none is a ValueError."""
    keys = []
    for line in path.read_bytes().split():
        journal, stated, encoded = line.split(b"+", 2)
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:])
        keys.append(Key(journal, bytes.fromhex(stated.decode()), public))
    return keys


def made(match: re.Match[bytes]) -> Note:
    """Return the note of a match."""
    parts = match.groupdict()
    return Note(**{**parts, "size": int(parts["size"])})


def last_of(tail: bytes) -> Note | None:
    """Return the last whole note in the end of a file; what was torn stays where it is, for the file only grows."""
    found = None
    for match in NOTE.finditer(tail):
        found = made(match)
    return found


def is_signed(note: Note, keys: list[Key]) -> bool:
    """Say whether a key of its journal signed a note."""
    try:
        signature = base64.b64decode(note.signature)
    except binascii.Error:
        return False
    # One note has one spelling: the last character of base64 has bits that nobody reads.
    if note.key != note.journal or base64.b64encode(signature) != note.signature:
        return False
    for key in keys:
        if key.journal == note.journal and key.hash == signature[:HASH_BYTES]:
            try:
                key.public.verify(signature[HASH_BYTES:], note.text)
            except InvalidSignature:
                continue
            return True
    return False


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


def keep(path: Path, new: Note, data: bytes) -> tuple[int, str]:
    """Append a note to a file if it continues it; return the exit status and what to say."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file).st_size
        tail = os.pread(file, LONGEST, max(end - LONGEST, 0))
        last = last_of(tail)
        if end and last is None:
            return UNUSABLE, f"unusable: {path} has no checkpoint at its end"
        refusal = objection(last, new)
        if refusal:
            return REFUSED, f"refused: {refusal}"
        if last is None or new.size > last.size:
            # Behind a torn note a line begins anew.
            data = data if tail.endswith(b"\n") or not tail else b"\n" + data
            if os.write(file, data) != len(data):
                return UNUSABLE, f"unusable: {path}: no space for a whole checkpoint"
            os.fsync(file)
        return DONE, f"kept {new.size} {new.hash.decode()}"
    finally:
        os.close(file)


def send(path: Path, to: int) -> None:
    """Write the length of a file, and as much of it; a file that is not there yet is empty."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        os.write(to, b"has 0\n")
        return
    try:
        # What is added from here on is for the next who asks.
        size, sent = os.fstat(file).st_size, 0
        os.write(to, b"has %d\n" % size)
        while sent < size and (part := os.sendfile(to, file, sent, size - sent)):
            sent += part
    except OSError as error:
        # Not to the other side, which would take it for what is kept; it sees that something is missing.
        sys.exit(f"{path}: {error.strerror}")
    finally:
        os.close(file)


def answer(keys: list[Key], folder: Path, data: bytes, to: int) -> tuple[int, str]:
    """Do what a request asks for; return the exit status and what is left to say."""
    match = READ.fullmatch(data) or NOTE.fullmatch(data)
    if match is None:
        return UNUSABLE, "unusable: it is no checkpoint"
    journal = match["journal"]
    if journal not in {key.journal for key in keys}:
        return UNUSABLE, f"unusable: no key of a journal {journal.decode(errors='replace')} is known here"
    path = folder / quote(journal, safe="")
    if match.re is READ:
        send(path, to)
        return DONE, ""
    note = made(match)
    if not is_signed(note, keys):
        return UNUSABLE, "unusable: none of the journal's keys has signed it"
    return keep(path, note, data)


def main(words: list[str]) -> int:
    """Answer the request on standard input."""
    if len(words) != 2:
        print("usage: anchor KEYS FOLDER < request", file=sys.stderr)
        return UNUSABLE
    try:
        keys = read_keys(Path(words[0]))
        status, text = answer(keys, Path(words[1]), sys.stdin.buffer.read(LONGEST), sys.stdout.fileno())
    except ValueError:
        status, text = UNUSABLE, f"unusable: {words[0]} has a line that is no key"
    except OSError as error:
        status, text = UNUSABLE, f"unusable: {error.filename or words[1]}: {error.strerror}"
    if text:
        print(text)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
