# SPDX-License-Identifier: Apache-2.0
"""What a bus promises, whatever carries it.

A stream has one writer. Its entry ids are `run-sequence` and only grow, so publishing the same entry twice is
publishing it once. A group reads a stream from its beginning and is given what it has not acknowledged again, at least
once: to the same consumer after its connection broke or its process began anew, to another one when it was left lying.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

DEAD = "dead:"  # what the name of a stream of dead letters begins with; the group follows


@dataclass(frozen=True, slots=True)
class Entry:
    """One message as it lies in a stream."""

    stream: str
    entry_id: str  # run-sequence
    data: bytes  # canonical bytes of the event
    deliveries: int = 1  # how often a consumer of this group was given it


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that a group could not handle."""

    letter_id: str  # of the entry in the stream of dead letters
    entry: Entry  # as it lay in its own stream
    reason: str

    @staticmethod
    def spell(reason: str) -> str:
        """Return a reason that has an end and can be written down, whatever an error had to say."""
        return reason[:500].encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class GroupState:
    """How far a group has come in a stream."""

    stream: str
    group: str
    length: int  # entries in the stream
    head: str  # id of the newest entry ever added, "0-0" if none
    delivered: str  # id of the newest entry given to the group
    pending: int  # given and not acknowledged
    oldest_pending: str  # "" if none
    lag: int | None  # entries not yet given; None if the server cannot tell


class Bus(Protocol):
    """A connection to the bus. Not to be shared between threads."""

    def publish(self, entries: Sequence[Entry], acknowledge: Sequence[Entry] = (), group: str = "") -> None:
        """Add entries and acknowledge what they answer, all or nothing. An entry that is there already stays as it is.

        Raises:
            Conflict: another entry has that id, or a newer one is in the stream.
            Unavailable: nobody knows whether it was done; do it again.
        """

    def consume(self, streams: Sequence[str], group: str, consumer: str, count: int, wait_ms: int = 0) -> list[Entry]:
        """Return up to `count` entries a stream; wait up to `wait_ms` if there is nothing.

        First come those that this consumer was given before this connection and never acknowledged, then those that
        others left lying, then new ones.

        Raises:
            Unavailable: the server does not answer.
        """

    def acknowledge(self, group: str, entries: Sequence[Entry]) -> None:
        """Say that entries need not be delivered to the group again.

        Raises:
            Unavailable: as for `publish`.
        """

    def dead_letter(self, group: str, entry: Entry, reason: str) -> None:
        """Move an entry that cannot be handled to the stream `dead:<group>` with the reason, and acknowledge it.

        Raises:
            Unavailable: as for `publish`.
        """

    def dead_letters(self, group: str, after: str = "0-0", count: int = 100) -> list[DeadLetter]:
        """Return what a group could not handle, behind the id of a letter."""

    def read(self, stream: str, after: str, count: int) -> list[Entry]:
        """Return entries behind an id without any group."""

    def head(self, stream: str) -> str:
        """Return the id of the newest entry that was ever added to a stream, "0-0" if none."""

    def streams(self) -> list[str]:
        """Return the names of all streams."""

    def groups(self, stream: str) -> list[GroupState]:
        """Return how far each group of a stream has come."""

    def trim(self, stream: str, before: str) -> int:
        """Remove entries older than an id and return how many; never one that a group has not acknowledged.

        A stream without groups keeps everything.
        """

    def close(self) -> None:
        """End the connection."""
