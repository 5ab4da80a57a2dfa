# SPDX-License-Identifier: Apache-2.0
"""`station run`: from a file to a service that runs, and to the exit status that systemd acts on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Self

from station import config, logs
from station.bus.alarms import Alarms
from station.bus.port import Bus
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.clock import Clock, SystemClock
from station.config import AgentService, AnyService, FeedService
from station.errors import Conflict, StationError
from station.feeds.credentials import read_token
from station.halt import Latch
from station.metrics import Metrics
from station.notify import Notifier, from_environment
from station.runtime.loop import serve
from station.runtime.work import Surroundings, Work, credentials_folder, log

STOPPED, FAILED, REFUSED = 0, 1, 2


def run(path: Path, environment: Mapping[str, str] = os.environ) -> int:
    """Run the service of a file until SIGTERM or SIGINT, and return its exit status.

    Args:
        path: the service's file.
        environment: names systemd's socket and the folder of credentials.

    Raises:
        StationError: the file is wrong.
    """
    service = config.load(path)
    logs.configure(service.name)
    try:
        around = surroundings(service, credentials_folder(environment), SystemClock())
        return supervise(service, around, from_environment(environment))
    except (StationError, Conflict) as error:
        # Starting it again would change nothing.
        log().critical("ends", reason=str(error))
        return REFUSED
    except Exception:  # noqa: BLE001 - whatever it is, it is logged, and systemd starts the service again
        log().critical("ends", exc_info=True)
        return FAILED


def supervise(service: AnyService, around: Surroundings, notifier: Notifier) -> int:
    """Run a service in its surroundings."""
    with _Signals(around.stop) as signals:
        _tell_of_halt_and_cpus(service, around)
        end_metrics = around.metrics.serve(service.metrics_port)
        try:
            work = signals.work = work_of(service, around)
            serve(work, around, notifier, service.watchdog_s)
        finally:
            end_metrics()
    log().info("ended")
    return STOPPED


def surroundings(service: AnyService, credentials: Path, clock: Clock) -> Surroundings:
    """Return what a service of this host lives in."""
    latch, metrics = Latch(Path(service.halt_folder)), Metrics()
    metrics.watch_halt(lambda: not latch.allowed().allowed)
    password = read_token(credentials / service.redis.password_file)
    server = Server(Path(service.redis.socket), service.redis.user, password)
    return Surroundings(clock, partial(_connect, server, clock), credentials, latch, metrics, threading.Event())


def work_of(service: AnyService, around: Surroundings) -> Work:
    """Return what a service does.

    Each kind is imported alone: what the others bring with them is 70 MB and a second of an agent's start.
    """
    if isinstance(service, FeedService):
        from station.runtime.feed import FeedWork  # noqa: PLC0415

        return FeedWork(service, around)
    if isinstance(service, AgentService):
        from station.runtime.agent import AgentWork  # noqa: PLC0415

        return AgentWork(service, around)
    from station.runtime.recorder import RecorderWork  # noqa: PLC0415

    return RecorderWork(service, around)


class _Signals:
    """Turns SIGTERM and SIGINT into the wish to end, for as long as it is entered.

    A handler runs in the middle of whatever the main thread does. If that is waiting for the event, the handler would
    wait for a lock of the very thread that it interrupts: so it only wakes another thread.

    Attributes:
        work: is told too, once it is there.
    """

    def __init__(self, stop: threading.Event) -> None:
        self.work: Work | None = None
        self._stop = stop
        self._before: dict[int, object] = {}
        self._heard: SimpleQueue[bool] = SimpleQueue()  # its put may be called from a handler
        self._listener = threading.Thread(target=self._listen, name="signals", daemon=True)

    def __enter__(self) -> Self:
        self._listener.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._heard.put(False)
        self._listener.join()

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._heard.put(True)

    def _listen(self) -> None:
        while self._heard.get():
            self._stop.set()
            if self.work is not None:
                self.work.stop()


def _connect(server: Server, clock: Clock, raise_alarm: Alarms) -> Bus:
    return RedisBus(server, clock, raise_alarm=raise_alarm)


def _tell_of_halt_and_cpus(service: AnyService, around: Surroundings) -> None:
    decision = around.latch.allowed()
    if not decision.allowed:
        log().warning("orders are denied", reason=decision.reason)
    given = os.sched_getaffinity(0)
    if service.cpus and given != service.wanted_cpus:
        log().warning("not on its CPUs", wanted=service.cpus, given=sorted(given))
