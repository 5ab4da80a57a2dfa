# SPDX-License-Identifier: Apache-2.0
"""How a service is, as data: whether it does its work, and whether that work moves on.

Alive means progress: a process that runs and handles nothing is not alive, and its watchdog is not fed
(freqtrade#11957).
"""

from __future__ import annotations

from dataclasses import dataclass

from station.clock import Clock

_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Progress:
    """Counts what was really done: an event handled or published, a heartbeat that the bus confirmed."""

    clock: Clock
    done: int = 0
    last: int = 0  # microseconds UTC
    last_ns: int = 0

    def __post_init__(self) -> None:
        """Begin to count the idle time."""
        self.last_ns = self.clock.monotonic_ns()

    def advance(self, count: int) -> None:
        """Count work; none is no progress."""
        if count > 0:
            self.done += count
            self.last, self.last_ns = self.clock.now(), self.clock.monotonic_ns()

    def idle_s(self) -> float:
        """Return the seconds since the last progress."""
        return (self.clock.monotonic_ns() - self.last_ns) / _SECOND_NS


@dataclass(slots=True)
class Watch:
    """Decides when systemd's watchdog is fed and when a heartbeat is due.

    Attributes:
        progress: what is watched.
        limit_s: seconds after which systemd restarts the service.
        seen: the count at the last feeding.
    """

    progress: Progress
    limit_s: int
    seen: int = 0
    fed_ns: int = 0

    def feed(self) -> bool:
        """Say whether to feed now: work was done since, and the last time is not just a moment ago."""
        now = self.progress.clock.monotonic_ns()
        moved = self.progress.done != self.seen
        # A tenth of the limit is often enough, and a busy service does not send a datagram an event.
        due = now - self.fed_ns >= self.limit_s * _SECOND_NS // 10
        if moved and due:
            self.seen, self.fed_ns = self.progress.done, now
        return moved and due

    def heartbeat_due(self) -> bool:
        """Say whether nothing happened for so long that the service has to show that it could work."""
        return self.progress.idle_s() >= self.limit_s / 3
