# SPDX-License-Identifier: Apache-2.0
"""Whatever is killed, and whenever: each event is in the journal once, in order, and in the database once.

A state machine with producers of two streams, a recorder that dies at any step, a database that comes and goes, and a
disk that tears what was not yet safe on it.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from station.errors import Unavailable
from station.journal import record as records
from station.journal.recorder import Limits
from station.journal.segments import segments
from station.journal.verifier import verify

from tests.unit.services.journal import journal_kit as kit
from tests.unit.services.journal.journal_kit import RUN, SIGNER, Station

STREAMS = ("md:a", "strat:b")
# Where the process may die: the call that it makes next is never made, or its answer never seen.
STEPS = {
    "before the write": ("station.journal.writer.write_all", False),
    "after the write, before it is safe": ("station.journal.writer.os.fdatasync", False),
    "after it is safe": ("station.journal.writer.os.fdatasync", True),
    "before the checkpoint": ("station.journal.checkpoint_log.write_all", False),
    "after the checkpoint": ("station.journal.checkpoint_log.write_all", True),
}
# Later a disk that keeps its word has all of it, in several segments too.
BEFORE_IT_IS_SAFE = ("before the write", "after the write, before it is safe")


class Killed(BaseException):
    """The process is gone."""


class Recovery(RuleBasedStateMachine):
    """What may happen, one thing after the other."""

    @initialize(limit=st.sampled_from([1, 4000, 1 << 20]))
    def begin(self, limit: int) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.station = Station(self.root, limit=limit, limits=Limits(batch=7, keep=5))
        self.sent: dict[str, list[str]] = {stream: [] for stream in STREAMS}
        self.run = dict.fromkeys(STREAMS, RUN)
        self.next = dict.fromkeys(STREAMS, 1)

    def teardown(self) -> None:
        self.station.crash()
        shutil.rmtree(self.root)

    @rule(stream=st.sampled_from(STREAMS), count=st.integers(1, 12))
    def publish(self, stream: str, count: int) -> None:
        first = self.next[stream]
        events = kit.bars(first, first + count - 1, self.run[stream])
        self.station.publish(*events, stream=stream)
        self.sent[stream] += [event.entry_id for event in events]
        self.next[stream] += count

    @rule(stream=st.sampled_from(STREAMS))
    def restart_producer(self, stream: str) -> None:
        self.run[stream] += 1
        self.next[stream] = 1

    @rule(seconds=st.sampled_from([0.0, 1.5, 20.0]))
    def record(self, seconds: float) -> None:
        self.station.clock.sleep(seconds)
        self.station.recorder.step()

    @rule()
    def follow(self) -> None:
        self.station.clock.sleep(1)
        try:
            self.station.follower.step()
        except Unavailable:
            assert self.station.store.away

    @rule()
    def lose_an_answer_of_the_database(self) -> None:
        self.after(self.station.store, "write", Unavailable("connection reset"), self.station.follower.step)

    @rule(away=st.booleans())
    def database(self, away: bool) -> None:
        self.station.store.away = away

    @rule()
    def fill_the_disk_for_a_moment(self) -> None:
        self.station.clock.sleep(2)
        with patch("station.journal.writer.write_all", half_of_it):
            try:
                self.station.recorder.step()
            except Unavailable as error:
                assert "No space left" in str(error)  # noqa: PT017 - it need not be raised

    @rule(where=st.sampled_from(sorted(STEPS)), torn=st.integers(0, 3000))
    def kill_the_recorder(self, where: str, torn: int) -> None:
        """Let the process die at a step; what it had written and not made safe may be there in part."""
        self.station.clock.sleep(2)
        name, afterwards = STEPS[where]
        safe = self.sizes()
        with patch(name, dying(name, afterwards)):
            try:
                self.station.recorder.step()
            except Killed:
                if where in BEFORE_IT_IS_SAFE:
                    self.tear(safe, torn)
        self.revive()

    @rule()
    def kill_the_recorder_before_it_acknowledges(self) -> None:
        self.station.clock.sleep(2)
        with patch.object(self.station.bus, "acknowledge", side_effect=Killed), suppress(Killed):
            self.station.recorder.step()
        self.revive()

    @rule()
    def kill_the_recorder_after_the_database_has_it(self) -> None:
        if not self.station.store.away:
            self.after(self.station.store, "write", Killed(), self.station.follower.step)
        self.revive()

    @precondition(lambda self: not self.station.store.away)
    @rule()
    def settle(self) -> None:
        self.station.turn()
        for stream in STREAMS:
            if self.sent[stream]:
                assert self.station.pending(stream) == 0
        clean = verify(self.root, [SIGNER.verifier], {}, self.station.store, self.station.clock)
        assert clean.ok, clean
        assert clean.stored == clean.checked
        for stream in STREAMS:
            assert self.station.recorded(stream) == self.sent[stream]

    @invariant()
    def history_is_in_order_and_nothing_is_there_twice(self) -> None:
        if hasattr(self, "station"):
            parsed = [records.parse(line[2]) for line in kit.lines(self.root)]
            for stream in STREAMS:
                recorded = [record.entry for record in parsed if record.stream == stream]
                assert recorded == self.sent[stream][: len(recorded)]
            notes = {note.note for record in parsed if (note := records.note_of(record)) is not None}
            assert notes <= {"genesis", "segment", "restart", "torn"}

    def sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in segments(self.root)}

    def tear(self, safe: dict[Path, int], keep: int) -> None:
        for path in segments(self.root):
            begin = safe.get(path, 0)
            os.truncate(path, min(begin + keep, path.stat().st_size))

    def revive(self) -> None:
        self.station.crash()
        self.station.restart()

    def after(self, thing: object, name: str, error: BaseException, do: Callable[[], object]) -> None:
        real = getattr(thing, name)

        def call(*words: Any) -> None:
            real(*words)
            raise error

        with patch.object(thing, name, call), suppress(Unavailable, Killed):
            do()


def half_of_it(file: int, data: bytes) -> None:
    os.write(file, data[: len(data) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def dying(name: str, afterwards: bool) -> Callable[..., None]:
    real: Callable[..., None] = os.fdatasync if name.endswith("fdatasync") else write_all

    def call(*words: Any) -> None:
        if afterwards:
            real(*words)
        raise Killed

    return call


def write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


TestRecovery = Recovery.TestCase
TestRecovery.settings = settings(max_examples=40, stateful_step_count=30)
