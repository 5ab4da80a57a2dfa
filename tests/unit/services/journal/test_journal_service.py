# SPDX-License-Identifier: Apache-2.0
"""The parts of the journal together, with their real threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry
from station.clock import SystemClock
from station.codec import encode
from station.errors import StationError, Unavailable
from station.journal.anchors import Anchor
from station.journal.opening import Author
from station.journal.segments import segments
from station.journal.service import Journal, start
from station.journal.verifier import verify

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import SIGNER, STREAM, MemoryStore


class Copies:
    """An anchor in memory."""

    def __init__(self) -> None:
        self.notes: list[bytes] = []

    def __call__(self, note: bytes) -> str:
        self.notes.append(note)
        return "kept"


class Setup:
    """A journal that can be started again and again on the same files, bus and database."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.copies = folder, MemoryStore(), Copies()
        self.streams = Streams()
        self.bus = MemoryBus(self.streams)

    def start(self) -> Journal:
        return start(
            self.folder,
            Author(SIGNER, {"host": "station"}),
            bus=MemoryBus(self.streams),
            store=self.store,
            clock=SystemClock(),
            anchors=[Anchor("oversight", self.copies, every_s=0)],
        )

    def publish(self, first: int, last: int) -> None:
        self.bus.publish([Entry(STREAM, event.entry_id, encode(event)) for event in kit.bars(first, last)])

    def pending(self) -> int:
        return sum(state.pending for state in self.bus.groups(STREAM))


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def step_until(journal: Journal, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        journal.step(wait_ms=20)


def store(journal: Journal, sequence: int) -> None:
    step_until(journal, lambda: journal.stored.sequence == sequence)


def test_what_is_published_is_recorded_stored_acknowledged_signed_and_anchored(setup, tmp_path):
    setup.publish(1, 100)
    journal = setup.start()
    step_until(journal, lambda: journal.stored.sequence == 101 and setup.pending() == 0)
    journal.close()
    assert setup.copies.notes[-1].split(b"\n")[1] == b"101"
    copy = tmp_path / "copy"
    copy.write_bytes(b"".join(setup.copies.notes))
    verdict = verify(tmp_path, [SIGNER.verifier], {"oversight": copy}, setup.store)
    assert (verdict.ok, verdict.signed, verdict.anchored, verdict.stored) == (True, 101, {"oversight": 101}, 101)


def test_a_journal_that_was_closed_goes_on(setup, tmp_path):
    for number in range(3):
        setup.publish(1 + number * 10, 10 + number * 10)
        journal = setup.start()
        store(journal, journal.recorder.sequence + 10)
        journal.close()
    assert verify(tmp_path, [SIGNER.verifier], {}, setup.store).ok
    assert len(setup.store.bar_rows) == 30


def test_closing_ends_every_thread_even_if_the_bus_is_away(setup):
    before = threading.active_count()
    journal = setup.start()
    setup.publish(1, 5)
    store(journal, 6)
    journal.recorder._owed = [Entry(STREAM, "1-1", b"")]

    def gone(*_: object) -> None:
        raise Unavailable("the bus is away")

    journal.recorder._bus.acknowledge = gone
    with pytest.raises(Unavailable, match="the bus is away"):
        journal.close()
    assert threading.active_count() == before
    setup.start().close()


def test_what_a_thread_found_reaches_whoever_steps(setup):
    journal = setup.start()
    setup.publish(1, 5)
    store(journal, 6)
    journal.close()
    segments(setup.folder)[0].unlink()
    (setup.folder / "checkpoints").unlink()
    with closing(setup.start()) as journal, pytest.raises(StationError, match="TRUNCATION: QuestDB holds record 6"):
        step_until(journal, lambda: False)


def test_a_journal_that_cannot_begin_leaves_no_lock(setup):
    setup.start().close()
    segments(setup.folder)[0].unlink()
    with pytest.raises(StationError, match="TRUNCATION"):
        setup.start()
    (setup.folder / "checkpoints").unlink()
    setup.start().close()
