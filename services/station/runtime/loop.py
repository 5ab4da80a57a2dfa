# SPDX-License-Identifier: Apache-2.0
"""The loop that every service runs: ready when it works, alive while it gets on, and an end in good order."""

from __future__ import annotations

from station.errors import Unavailable
from station.health import Progress, Watch
from station.notify import Notifier
from station.runtime.work import Surroundings, Work, log

SECOND = 1_000_000


def serve(work: Work, around: Surroundings, notifier: Notifier, watchdog_s: int) -> None:
    """Run a service until it is told to stop.

    Args:
        work: what it does.
        around: what it lives in.
        notifier: reaches systemd.
        watchdog_s: seconds without progress after which systemd restarts it.

    Raises:
        StationError, Conflict: a person has to look.
    """
    try:
        try:
            work.start()
            _work(work, around, notifier, watchdog_s)
            notifier.stopping()
            work.finish()
        except Unavailable as error:
            if not around.stop.is_set():
                raise
            # What is left is in the bus still, and comes again after the next start.
            log().warning("ended before everything was finished", reason=str(error))
    finally:
        around.metrics.ready.set(0)
        work.close()


def _work(work: Work, around: Surroundings, notifier: Notifier, watchdog_s: int) -> None:
    progress = Progress(around.clock)
    watch = Watch(progress, watchdog_s)
    ready = False
    while not around.stop.is_set():
        progress.advance(work.step())
        if not ready and work.ready():
            ready = True
            around.metrics.ready.set(1)
            log().info("ready")
            notifier.ready("works")
        if watch.heartbeat_due():
            progress.advance(work.heartbeat())
        if watch.feed():
            around.metrics.progress.set(progress.last / SECOND)
            notifier.alive()
