# SPDX-License-Identifier: Apache-2.0
"""A journal in one segment with an anchor and a database, and what somebody can do to it who alters history."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.journal.chain import Head, link, origin
from station.journal.checkpoint import Checkpoint, Signer, origin_of
from station.journal.checkpoint_log import NAME
from station.journal.rows import BarRow
from station.journal.segments import segments
from station.journal.verifier import Verdict, verify

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import SIGNER, Station

KEYS = [SIGNER.verifier]
# Ten bars and a checkpoint, five times; the first record is the genesis.
ROUNDS, EACH = 5, 10
LAST = 1 + ROUNDS * EACH
SIGNED = [1, 11, 21, 31, 41, 51]


@dataclass
class History:
    """A journal in one segment with its anchor and its database, all closed."""

    folder: Path
    anchor: Path
    station: Station

    @property
    def segment(self) -> Path:
        return segments(self.folder)[0]

    def lines(self) -> list[bytes]:
        return self.segment.read_bytes().splitlines(keepends=True)

    def set(self, lines: list[bytes]) -> None:
        self.segment.write_bytes(b"".join(lines))

    def verdict(self, copy: bool = False, anchors: bool = True) -> Verdict:
        kept = {"oversight": self.anchor} if anchors else {}
        return verify(self.folder, KEYS, kept, self.station.store if copy else None, self.station.clock)

    def broken(self, copy: bool = False, anchors: bool = True) -> tuple[int | None, str]:
        verdict = self.verdict(copy, anchors)
        assert not verdict.ok
        assert verdict.detail
        return verdict.first_break, verdict.kind


def make(root: Path) -> History:
    folder = root / "journal"
    folder.mkdir()
    station = Station(folder)
    for number in range(ROUNDS):
        station.publish(*kit.bars(1 + number * EACH, (number + 1) * EACH))
        station.turn()
    station.crash()
    anchor = root / "oversight.checkpoints"
    shutil.copy(folder / NAME, anchor)
    # Long enough for the database to have everything.
    station.clock.sleep(1000)
    return History(folder, anchor, station)


def chained(records: list[bytes], chain_id: bytes = kit.CHAIN_ID, head: Head | None = None) -> list[bytes]:
    """Return the lines of records as somebody makes them who has the code and not the key."""
    head, lines = head or origin(chain_id), []
    for record in records:
        head = link(chain_id, head, record)
        lines.append(b"%d\t%b\t%b\n" % (head.sequence, head.hash.hex().encode(), record))
    return lines


def records_of(lines: list[bytes]) -> list[bytes]:
    return [line[:-1].split(b"\t", 2)[2] for line in lines]


def head_of(line: bytes) -> Head:
    number, digest, _ = line.split(b"\t", 2)
    return Head(int(number), bytes.fromhex(digest.decode()))


def raised(record: bytes) -> bytes:
    return record.replace(b'"close":"1.0716"', b'"close":"1.0720"')


def signed(head: Head, signer: Signer, chain_id: bytes = kit.CHAIN_ID) -> bytes:
    return signer.sign(Checkpoint(origin_of("station.example/journal", chain_id), head).text())


def overwrite(history: History, sequence: int, **changes: Any) -> None:
    """Do what an INSERT of the same keys does to a table with DEDUP."""
    row = history.station.store.row(sequence)
    history.station.store.rows[row.ts, row.seq] = row._replace(**changes)


def bar_of(history: History, sequence: int) -> BarRow:
    rows: list[BarRow] = list(history.station.store.bar_rows.values())
    return next(row for row in rows if row.seq == sequence)
