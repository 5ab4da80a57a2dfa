# SPDX-License-Identifier: Apache-2.0
"""The hash chain without a disk: appending and verifying, and hashlib alone doing the same two hashes a record."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from station import codec
from station.domain.operation import JournalNote
from station.errors import StationError
from station.events import JournalEvent
from station.journal import record as records
from station.journal.chain import HASH_BYTES, origin
from station.journal.checkpoint import Signer
from station.journal.checkpoint_log import CheckpointLog
from station.journal.verifier import verify
from station.journal.writer import SegmentWriter

from tests.performance.bus import events
from tests.performance.bus.events import Say
from tools import report

BATCH = 1000  # what the recorder takes at once
GOAL = report.Goal(above=200_000)
MEMORY = Path("/dev/shm")
SIGNER = Signer("bench.example/journal", bytes(range(32)))
_CHAIN_ID = bytes(range(16))
_HASH_INPUT = bytes(len(b"audit.v1\x00") + len(_CHAIN_ID) + 8)  # what the second hash takes besides the two digests


def measure(number: int, rounds: int, say: Say) -> list[report.Row]:
    """Return the rows.

    Args:
        number: records.
        rounds: of each; the median counts.
        say: tells how far it is.
    """
    written = journal(number)
    times: dict[str, list[float]] = {"hashes": [], "append": [], "verify": []}
    for turn in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=MEMORY) as folder:
            times["hashes"].append(_seconds(hash_alone, written))
            times["append"].append(_seconds(append, Path(folder), written))
            times["verify"].append(_seconds(check, Path(folder), number))
        spelled = ", ".join(f"{name} {number / seconds[-1]:,.0f}/s" for name, seconds in times.items())
        say(f"chain of {number:,} records in memory, round {turn} of {rounds}: {spelled}")
    rates = {name: number / median(seconds) for name, seconds in times.items()}
    size = sum(map(len, written)) / number
    return rows(rates, size)


def rows(rates: dict[str, float], size: float) -> list[report.Row]:
    """Return the rows of rates in records/s; the baseline is hashlib alone.

    Args:
        rates: of `hashes`, `append` and `verify`.
        size: bytes of a record on average.
    """
    name = f"chain in memory, {size:.0f} bytes a record"
    return [
        report.row(f"{name}, append", rates["append"], "records/s", rates["hashes"], GOAL),
        report.row(f"{name}, verify", rates["verify"], "records/s", rates["hashes"], GOAL),
    ]


def journal(number: int, first: int = 0) -> list[bytes]:
    """Return the records of a journal: the note that it begins, and bars.

    Args:
        number: records.
        first: number of the first bar, which decides its time.
    """
    note = JournalNote(note="genesis", detail={"chain": _CHAIN_ID.hex()})
    began = JournalEvent(agent_id=records.OWN_STREAM, run=1, sequence=1, timestamp=1, available=1, payload=note)
    tail = records.tail(events.START_US, events.STREAM)
    bars = (events.bar(one, events.START_US + one * 100) for one in range(first, first + number - 1))
    return [
        records.compose(began.entry_id, codec.encode(began), records.tail(1, records.OWN_STREAM)),
        *(records.compose(bar.entry_id, codec.encode(bar), tail) for bar in bars),
    ]


def hash_alone(written: Sequence[bytes]) -> bytes:
    """Do what the chain cannot do without: the hash of each record, and that of it with the one before."""
    sha256, last = hashlib.sha256, bytes(HASH_BYTES)
    for record in written:
        last = sha256(_HASH_INPUT + last + sha256(record).digest()).digest()
    return last


def append(folder: Path, written: Sequence[bytes]) -> None:
    """Write records as the recorder does, with the checkpoints."""
    writer = SegmentWriter(folder, _CHAIN_ID, origin(_CHAIN_ID), limit=1 << 40)  # one segment
    log = CheckpointLog(folder, SIGNER, _CHAIN_ID, 0)
    for start in range(0, len(written), BATCH):
        writer.append(written[start : start + BATCH])
        log.add(writer.head, 0)
    writer.close()
    log.close()


def check(folder: Path, number: int) -> None:
    """Verify them.

    Raises:
        StationError: it does not find what was written.
    """
    verdict = verify(folder, [SIGNER.verifier], {})
    if not verdict.ok or verdict.signed != number:
        raise StationError(f"the bench's own journal: {verdict.text()}")


def _seconds(do: Callable[..., object], *arguments: object) -> float:
    began = time.process_time()  # nothing here waits, so the neighbours need not count
    do(*arguments)
    return time.process_time() - began
