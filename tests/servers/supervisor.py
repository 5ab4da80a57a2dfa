# SPDX-License-Identifier: Apache-2.0
"""What systemd does for the units of a station: starts again what died, and ends what no longer gets on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from tests.servers.process import Process
from tests.servers.services import Service

_LOOK_S = 0.05
_REFUSED = 2  # exit status of a service that a person has to look after


@dataclass(frozen=True)
class Rule:
    """What a unit file says about restarts.

    Attributes:
        after_s: RestartSec.
        burst: StartLimitBurst within `interval_s`; None for no limit.
        always: Restart=always, else on-failure, and not after status 2.
        watchdog_s: WatchdogSec, None for none.
        stop_s: TimeoutStopSec, after which what was aborted is killed.
    """

    after_s: float
    burst: int | None = None
    interval_s: float = 300.0
    always: bool = True
    watchdog_s: float | None = None
    stop_s: float = 60.0


REDIS = Rule(1.0, burst=5)
QUESTDB = Rule(2.0, burst=5)
SERVICE = Rule(1.0, always=False, watchdog_s=30.0)


@dataclass
class Unit:
    """A program with its rule.

    Attributes:
        before: says whether it may be started now, which is what an ExecStartPre= waits for.
        starts: how often it was started again.
        failed: why it stays down; "" if it does not.
    """

    program: Process
    rule: Rule
    before: Callable[[], bool] = lambda: True
    starts: int = 0
    failed: str = ""
    _due: float | None = None
    _times: list[float] = field(default_factory=list)
    _aborted_at: float | None = None

    @property
    def settled(self) -> bool:
        """Whether it is not about to end, or to be started again."""
        return self._due is None and self._aborted_at is None

    def look(self, now: float) -> None:
        """Do what is due."""
        process = self.program.process
        if process is None or self.failed:
            self._due = None
            return
        status = process.poll()
        if status is None:
            self._watch(now)
        elif self._due is None:
            self._ended(status, now)
        elif now >= self._due and self.before():
            self._start(now)

    def _ended(self, status: int, now: float) -> None:
        if not self.rule.always and status in {0, _REFUSED}:
            self.failed = f"ended with status {status}"
        self._due = now + self.rule.after_s
        self._aborted_at = None

    def _start(self, now: float) -> None:
        self._times = [time for time in self._times if time > now - self.rule.interval_s]
        if self.rule.burst is not None and len(self._times) >= self.rule.burst:
            self.failed = f"started {self.rule.burst} times within {self.rule.interval_s:g} s"
            return
        self._times.append(now)
        self._due = None
        self.starts += 1
        self.program.launch()

    def _watch(self, now: float) -> None:
        """Abort what has not said that it gets on; a stopped process takes no signal but SIGKILL, which comes later."""
        if self.rule.watchdog_s is None or not isinstance(self.program, Service):
            return
        self.program.hear()
        if self._aborted_at is not None:
            if now - self._aborted_at > self.rule.stop_s:
                self.program.send(signal.SIGKILL)
        elif self.program.ready and now - self.program.alive_at > self.rule.watchdog_s:
            self._aborted_at = now
            self.program.send(signal.SIGABRT)


class Supervisor:
    """Looks after units from a thread of its own, for as long as it is entered."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self.units = units
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave everything as it is from now on."""
        self._stop.set()
        self._thread.join()

    @property
    def failed(self) -> dict[str, str]:
        """Return the units that stay down, and why."""
        return {name: unit.failed for name, unit in self.units.items() if unit.failed}

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            for unit in self.units.values():
                unit.look(time.monotonic())
