# SPDX-License-Identifier: Apache-2.0
"""The recorder: a journal at work."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from station.bus.port import Bus
from station.config import RecorderService
from station.errors import Unavailable
from station.feeds.credentials import read_token
from station.journal import service as journal
from station.journal.anchors import Anchor, Listener
from station.journal.checkpoint import Signer, VerifierKey
from station.journal.opening import Author
from station.journal.questdb import QuestDB, Server
from station.journal.recorder import Limits
from station.journal.service import Journal
from station.runtime.work import Surroundings, log

_WAIT_MS = 500


class RecorderWork:
    """The recorder service."""

    def __init__(self, service: RecorderService, around: Surroundings) -> None:
        self._service, self._around = service, around
        self._bus: Bus = around.connect(around.alarm)
        self._journal: Journal | None = None
        self._seconds = around.patience.waits()
        self._trouble = ""
        self._answered = False

    def start(self) -> None:
        """Open the journal, which is recovery."""
        service, around = self._service, self._around
        signer = Signer.load(around.credentials / service.key_file)
        author = Author(signer, _facts(), tuple(VerifierKey.parse(key) for key in service.former_keys))
        password = read_token(around.credentials / service.questdb.password_file)
        host, _, port = service.questdb.address.rpartition(":")
        store = QuestDB(Server(host, int(port), service.questdb.user, password))
        self._journal = around.patience.persist(
            lambda: journal.start(
                Path(service.folder),
                author,
                bus=self._bus,
                store=store,
                clock=around.clock,
                anchors=[Anchor(one.name, Listener(one.place)) for one in service.anchors],
                limits=Limits(service.batch, service.keep),
            )
        )
        self._show(self._journal)

    def ready(self) -> bool:
        """Say whether the bus answers."""
        return self._answered

    def step(self) -> int:
        """Record what there is, one batch at most."""
        try:
            count = self._at_work().step(_WAIT_MS)
        except Unavailable as error:
            self._away(str(error))
            return 0
        if self._trouble:
            log().info("goes on")
            self._seconds = self._around.patience.waits()
        self._trouble, self._answered = "", True
        self._around.metrics.read.inc(count)
        return count

    def heartbeat(self) -> int:
        """Count a look at the bus that was answered: its user may write no event of its own."""
        return int(not self._trouble)

    def stop(self) -> None:
        """Nothing to do: a step ends within half a second."""

    def finish(self) -> None:
        """Write, sign and anchor what is left."""
        ending, self._journal = self._journal, None
        if ending is not None:
            ending.close()

    def close(self) -> None:
        """Close files and connections, whatever is left."""
        try:
            self.finish()
        finally:
            self._bus.close()

    def _at_work(self) -> Journal:
        if self._journal is None:
            raise RuntimeError("the recorder was not started")
        return self._journal

    def _away(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log().warning("waits", reason=trouble)
        self._around.pause(next(self._seconds))

    def _show(self, at_work: Journal) -> None:
        figures: dict[str, tuple[str, Callable[[], float]]] = {
            "journal_records": ("Newest record on the disk", lambda: at_work.recorder.sequence),
            "journal_stored_records": ("Newest record in QuestDB", lambda: at_work.stored.sequence),
            "journal_store_trouble": ("1 while QuestDB takes nothing", lambda: bool(at_work.stored.trouble)),
            "journal_gaps": ("Gaps found since the start", lambda: at_work.recorder.counts.gaps),
            "journal_missing_events": ("Events in those gaps", lambda: at_work.recorder.counts.missing),
            "journal_conflicts": ("Entries that contradict others", lambda: at_work.recorder.counts.conflicts),
            "journal_anchor_trouble": (
                "Anchors that did not keep the newest checkpoint",
                lambda: sum(bool(anchor.state.trouble) for anchor in at_work.anchors),
            ),
        }
        for name, (meaning, look) in figures.items():
            self._around.metrics.watch(name, meaning, look)


def _facts() -> dict[str, str]:
    try:
        release = version("station")
    except PackageNotFoundError:
        release = "unknown"
    return {"host": platform.node(), "release": release}
