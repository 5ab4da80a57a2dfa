# SPDX-License-Identifier: Apache-2.0
"""What the loop asks of a service, and what it gives it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from station.bus import alarms
from station.bus.alarms import Alarm
from station.bus.port import Bus
from station.clock import Clock
from station.errors import StationError
from station.halt import Latch
from station.metrics import Metrics
from station.retry import Patience

CREDENTIALS = "CREDENTIALS_DIRECTORY"  # systemd.exec(5)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service lives in.

    Attributes:
        clock: the time.
        connect: opens a connection to the bus; what it is given is told of lost groups and lost entries.
        credentials: the folder of the unit's credentials.
        latch: the kill switch.
        metrics: the service's figures.
        stop: is set when the service has to end.
    """

    clock: Clock
    connect: Callable[[alarms.Alarms], Bus]
    credentials: Path
    latch: Latch
    metrics: Metrics
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def patience(self) -> Patience:
        """Return how the service waits for others."""
        return Patience(self.clock, self.stop.is_set)

    def alarm(self, alarm: Alarm) -> None:
        """Log and count something that a person has to look at."""
        alarms.log(alarm)
        self.metrics.alarms.labels(alarm.kind).inc()

    def pause(self, seconds: float) -> None:
        """Wait, less when the service has to end."""
        self.stop.wait(seconds)


class Work(Protocol):
    """What one kind of service does."""

    def start(self) -> None:
        """Recover and connect.

        Raises:
            StationError: a person has to mend something.
            Unavailable: stopped before others answered.
        """

    def ready(self) -> bool:
        """Say whether it does its work now, and has done what was left from before."""

    def step(self) -> int:
        """Do what is next, within a second if all is well, and return how many things that were.

        Raises:
            StationError, Conflict: a person has to look.
            Unavailable: stopped while others did not answer.
        """

    def heartbeat(self) -> int:
        """Show that it could work although there is nothing to do: 1 if the bus confirmed it, else 0."""

    def stop(self) -> None:
        """Let a long step end; from another thread."""

    def finish(self) -> None:
        """Finish what was begun, and say that it ends.

        Raises:
            Unavailable: others do not answer; what is left comes again after the next start.
        """

    def close(self) -> None:
        """Close files and connections."""


def credentials_folder(environment: Mapping[str, str]) -> Path:
    """Return where systemd put the credentials of this unit.

    Raises:
        StationError: nowhere.
    """
    folder = environment.get(CREDENTIALS)
    if not folder:
        raise StationError(f"{CREDENTIALS} is not set; start the service by its unit, which loads its credentials")
    return Path(folder)


def log() -> structlog.typing.FilteringBoundLogger:
    """Return the service's log."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger
