# SPDX-License-Identifier: Apache-2.0
"""The hash that ties a record to all before it.

`hash = SHA256("audit.v1" 0x00 || chain id || sequence as 8 bytes || previous hash || SHA256(record))`: the prefix and
the chain id keep a record of one chain out of another, and every part has a fixed length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

_DOMAIN = b"audit.v1\x00"
HASH_BYTES = 32
CHAIN_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the sequence of its last record (0: none) and the hash of it."""

    sequence: int
    hash: bytes


def origin(chain_id: bytes) -> Head:
    """Return the head of a chain without records.

    Args:
        chain_id: 16 bytes that no other chain has.

    Raises:
        ValueError: not 16 bytes.
    """
    if len(chain_id) != CHAIN_ID_BYTES:
        raise ValueError(f"a chain id has {CHAIN_ID_BYTES} bytes, not {len(chain_id)}")
    return Head(0, bytes(HASH_BYTES))


def link(chain_id: bytes, head: Head, record: bytes) -> Head:
    """Return the head after one more record, which is given as the bytes that are stored."""
    sequence = head.sequence + 1
    content = hashlib.sha256(record).digest()
    return Head(
        sequence,
        hashlib.sha256(_DOMAIN + chain_id + sequence.to_bytes(8, "big") + head.hash + content).digest(),
    )


def extend(chain_id: bytes, head: Head, records: Iterable[bytes]) -> list[bytes]:
    """Return the hash after each of some records: `link` for many, without an object for each."""
    sha256 = hashlib.sha256
    prefix = _DOMAIN + chain_id
    sequence, last = head.sequence, head.hash
    hashes = []
    for record in records:
        sequence += 1
        last = sha256(prefix + sequence.to_bytes(8, "big") + last + sha256(record).digest()).digest()
        hashes.append(last)
    return hashes
