# SPDX-License-Identifier: Apache-2.0
"""What Redis answers about streams, as our own values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from station.bus.port import Entry


def text(value: bytes) -> str:
    """Return a name or an id as text."""
    return value.decode()


def pairs(row: Sequence[Any]) -> dict[bytes, Any]:
    """Return a list of names and values in turn as a mapping."""
    return dict(zip(row[::2], row[1::2], strict=True))


def entries_of(stream: str, rows: Sequence[Any]) -> list[Entry]:
    """Return the entries of a stream; an id whose entry was removed is left out."""
    return [Entry(stream, row[0].decode(), _data(row[1])) for row in rows if row[1] is not None]


def removed(rows: Sequence[Any]) -> list[str]:
    """Return the ids whose entries were removed."""
    return [text(row[0]) for row in rows if row[1] is None]


def _data(fields: Sequence[bytes]) -> bytes:
    # Whoever adds by hand may leave the field out: no bytes are no event, which is for the reader to say.
    return fields[1] if fields[0] == b"e" else pairs(fields).get(b"e", b"")
