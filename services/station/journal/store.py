# SPDX-License-Identifier: Apache-2.0
"""What the journal asks of the database that holds a copy of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from station.journal.rows import BarRow, JournalRow


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is stored.

    Attributes:
        rows: of `journal`.
        last: their greatest sequence, 0 if there are none.
        last_bar: the greatest sequence in `bars`.
        strays: rows of both whose sequence no record can have.
    """

    rows: int
    last: int
    last_bar: int
    strays: int


class Store(Protocol):
    """Where the follower writes."""

    def prepare(self) -> None:
        """Make the tables that are not there.

        Raises:
            Unavailable: the database does not answer.
        """

    def watermark(self) -> int:
        """Return the greatest sequence up to which every record is stored and can be read.

        Raises:
            Unavailable: not everything that was sent can be read yet, or the database does not answer.
        """

    def check(self) -> None:
        """See whether what is written also arrives where it can be read, and mend what can be mended from here.

        Raises:
            Unavailable: it did not arrive up to now.
        """

    def write(self, journal: Sequence[JournalRow], bars: Sequence[BarRow]) -> None:
        """Store rows; storing them again changes nothing.

        Raises:
            Unavailable: nobody knows which of them are stored.
        """


class Copy(Protocol):
    """What the verifier compares with the segments."""

    def extent(self) -> Extent:
        """Return how much is stored.

        Raises:
            Unavailable: the database does not answer, or holds back what was sent to it.
        """

    def journal(self, first: int, last: int) -> list[JournalRow]:
        """Return the rows of `journal` of some sequences, in their order."""

    def bars(self, first: int, last: int) -> list[BarRow]:
        """Return the rows of `bars` of some sequences."""

    def bars_at(self, times: Sequence[int]) -> list[BarRow]:
        """Return the rows of `bars` of some closes."""
