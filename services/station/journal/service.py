# SPDX-License-Identifier: Apache-2.0
"""The recorder with all that belongs to it: the journal's files, the follower's thread and one for each anchor."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from station.bus.port import Bus
from station.clock import Clock
from station.journal.anchors import Anchor
from station.journal.follower import Follower
from station.journal.opening import Author, Opened, open_journal
from station.journal.recorder import DEFAULT, Limits, Recorder
from station.journal.store import Store
from station.journal.stored import Stored


class Journal:
    """A journal at work. `step` is called again and again from one thread; the others are looked after here.

    Attributes:
        recorder: what writes; its counts are for metrics.
        stored: how far QuestDB is.
        anchors: how it goes with each is in their state.
    """

    def __init__(
        self,
        recorder: Recorder,
        opened: Opened,
        follower: Follower,
        anchors: Sequence[Anchor],
    ) -> None:
        self.recorder, self.stored, self.anchors = recorder, follower.stored, anchors
        self._opened = opened
        self._note = b""
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(1 + len(anchors), "journal")
        self._running: list[Future[None]] = [self._threads.submit(anchor.run) for anchor in anchors]
        self._running.append(self._threads.submit(follower.run, self._stop))

    def step(self, wait_ms: int = 200) -> int:
        """Record what there is, one batch at most, and return how many entries came.

        Raises:
            Unavailable: bus or disk do not answer now; nothing is lost, call again.
            StationError: a person has to look.
        """
        for thread in self._running:
            if thread.done():
                thread.result()
        count = self.recorder.step(wait_ms)
        self._offer()
        return count

    def close(self) -> None:
        """Write, sign and anchor what is left, and end the threads.

        Raises:
            Unavailable: bus or disk do not answer; the files are closed all the same.
        """
        try:
            self.recorder.finish()
            self._offer()
        finally:
            self._stop.set()
            for anchor in self.anchors:
                anchor.stop()
            self._threads.shutdown()
            self._opened.close()

    def _offer(self) -> None:
        note = self._opened.checkpoints.note
        if note is not self._note:
            self._note = note
            for anchor in self.anchors:
                anchor.offer(note)


def start(  # noqa: PLR0913 - the parts of a journal
    folder: Path,
    author: Author,
    *,
    bus: Bus,
    store: Store,
    clock: Clock,
    anchors: Sequence[Anchor] = (),
    limits: Limits = DEFAULT,
) -> Journal:
    """Open a journal, write down that it goes on, and start its threads.

    Raises:
        StationError: somebody else writes it, or it is not what was written.
        Unavailable: the disk does not take it now.
    """
    opened = open_journal(folder, author)
    try:
        stored = Stored()
        recorder = Recorder(bus, clock, opened, stored, limits)
        recorder.begin()
        follower = Follower(folder, store, clock, lambda: recorder.sequence, stored)
        return Journal(recorder, opened, follower, anchors)
    except BaseException:
        opened.close()
        raise
