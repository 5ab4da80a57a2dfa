# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: the head of the chain, signed, so that nobody can make another history without the key.

A signed note after C2SP (signed-note, tlog-checkpoint), which public tools read: origin, size and hash a line each, an
empty line, and `— <key name> <base64 of key hash and Ed25519 signature>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from station.errors import StationError
from station.journal.chain import HASH_BYTES, Head

_ED25519 = b"\x01"
_KEY_BYTES = 32
_SEED_PREFIX = "PRIVATE+KEY+"
_NAME = re.compile(r"[^\s+]+")
_NOTE = re.compile(
    rb"(?P<text>(?P<origin>[^\n]+)\n(?P<size>0|[1-9]\d{0,18})\n(?P<hash>[A-Za-z0-9+/]{43}=)\n)"
    rb"\n\xe2\x80\x94 (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+={0,2})\n"
)
_NOTE_LINES = 5


class BadNote(ValueError):  # noqa: N818 - it is the note that is bad
    """A text that is no checkpoint, or not signed by a key that is known."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How long a chain is and where it stands."""

    origin: str
    head: Head

    def text(self) -> bytes:
        """Return what is signed."""
        return b"%b\n%d\n%b\n" % (self.origin.encode(), self.head.sequence, base64.b64encode(self.head.hash))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key. Its text is `<name>+<key hash>+<base64 of 0x01 and the key>`."""

    name: str
    key: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a text.

        Raises:
            StationError: the text is no such key.
        """
        name, _, rest = text.strip().partition("+")
        stated, _, encoded = rest.partition("+")
        made = cls(name, _decoded(encoded, text))
        if made.hash.hex() != stated:
            raise StationError(f'"{text.strip()}" is no verifier key: its hash is not that of its name and key')
        return made

    @property
    def hash(self) -> bytes:
        """Return the 4 bytes that tell which key signed."""
        return _key_hash(self.name, self.key)

    def text(self) -> str:
        """Return the text of the key."""
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(_ED25519 + self.key).decode()}"

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Say whether a signature, its key hash before it, is this key's over a text."""
        if not signature.startswith(self.hash):
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature[len(self.hash) :], text)
        except InvalidSignature:
            return False
        return True


class Signer:
    """The private half of a key. Its text is that of Go's sumdb/note, `PRIVATE+KEY+<name>+<hash>+<base64>`."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Take a key.

        Args:
            name: without blanks and `+`.
            seed: 32 bytes.

        Raises:
            StationError: the name or the length is not right.
        """
        if not _NAME.fullmatch(name) or len(seed) != _KEY_BYTES:
            raise StationError(f'a key has a name without blanks and "+", not "{name}", and 32 bytes, not {len(seed)}')
        self._private, self._seed = Ed25519PrivateKey.from_private_bytes(seed), seed
        self.verifier = VerifierKey(name, self._private.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a text.

        Raises:
            StationError: the text is no such key; the message does not show it.
        """
        name, _, rest = text.strip().removeprefix(_SEED_PREFIX).partition("+")
        stated, _, encoded = rest.partition("+")
        made = cls(name, _decoded(encoded, "the private key"))
        if not text.startswith(_SEED_PREFIX) or made.verifier.hash.hex() != stated:
            raise StationError('the private key is damaged: it is one line, "PRIVATE+KEY+<name>+<hash>+<base64>"')
        return made

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the key in a file, a systemd credential for one.

        Raises:
            StationError: the file cannot be read or holds no key.
        """
        try:
            return cls.parse(path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise StationError(f"{path}: {error}; it has to hold the journal's private key") from error

    def text(self) -> str:
        """Return the text of the key, which is a secret."""
        encoded = base64.b64encode(_ED25519 + self._seed).decode()
        return f"{_SEED_PREFIX}{self.verifier.name}+{self.verifier.hash.hex()}+{encoded}"

    def sign(self, text: bytes) -> bytes:
        """Return the note of a text that ends with a line feed."""
        signature = base64.b64encode(self.verifier.hash + self._private.sign(text))
        return b"%b\n\xe2\x80\x94 %b %b\n" % (text, self.verifier.name.encode(), signature)


def origin_of(name: str, chain_id: bytes) -> str:
    """Return the first line of a chain's checkpoints."""
    return f"{name}/{chain_id.hex()}"


def opened(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return what a note says.

    Raises:
        BadNote: it is no checkpoint, or none of the keys signed it.
    """
    match = _NOTE.fullmatch(note)
    if match is None:
        raise BadNote("it is no checkpoint")
    try:
        signature, digest = base64.b64decode(match["signature"]), base64.b64decode(match["hash"])
        origin, name = match["origin"].decode(), match["name"].decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadNote("it is no checkpoint") from None
    # One note has one spelling: the last character of base64 has bits that nobody reads.
    if len(digest) != HASH_BYTES or base64.b64encode(signature) != match["signature"]:
        raise BadNote("it is no checkpoint")
    if not any(key.name == name and key.signed(match["text"], signature) for key in keys):
        raise BadNote(f"the checkpoint of {match['size'].decode()} records is not signed by the journal's key")
    return Checkpoint(origin, Head(int(match["size"]), digest))


def notes(file: IO[bytes], end: int) -> Iterator[bytes]:
    """Yield the notes of a file one behind the other up to an offset; what is behind the last whole one is left out.

    What stands between two whole notes comes as a part of the second.
    """
    lines: list[bytes] = []
    while file.tell() < end:
        line = file.readline()
        lines.append(line)
        if line.endswith(b"\n") and line.startswith(b"\xe2\x80\x94 "):
            yield b"".join(lines)
            lines = []


def last_lines(note: bytes) -> bytes:
    """Return a note without what a torn one before it left."""
    return b"\n".join(note.split(b"\n")[-_NOTE_LINES - 1 :])


def _key_hash(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key).digest()[:4]


def _decoded(encoded: str, what: str) -> bytes:
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        data = b""
    if len(data) != 1 + _KEY_BYTES or not data.startswith(_ED25519):
        raise StationError(f"{what.strip()} is no Ed25519 key of a signed note")
    return data[1:]
