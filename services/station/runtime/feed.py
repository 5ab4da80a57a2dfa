# SPDX-License-Identifier: Apache-2.0
"""The feed: bars from a source to the bus."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from station.bus import ids
from station.bus.port import Bus
from station.bus.producer import Producer
from station.clock import Clock
from station.config import FeedService
from station.config.feeds import ReplayFeed
from station.events import MarketEvent
from station.feeds.backfill import Filler
from station.feeds.port import Ended, Feed, Finding
from station.feeds.quality import Inspector
from station.feeds.service import FeedService as Publishing
from station.feeds.service import Parts
from station.feeds.watchdog import Watchdog
from station.metrics import Metrics
from station.runtime import sources
from station.runtime.history import newest_closes, tail
from station.runtime.voice import Voice
from station.runtime.work import Surroundings, log

_MILLISECOND = 1000
_MILLISECOND_NS = 1_000_000
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Stamped:
    """Publishes bars with the moment until which an order may follow from them.

    Attributes:
        producer: puts them on the bus.
        deadline_ns: from now on; None for bars of the past.
    """

    producer: Producer
    clock: Clock
    metrics: Metrics
    deadline_ns: int | None

    def publish(self, events: Sequence[MarketEvent]) -> object:
        """Publish, once, however often the bus goes away."""
        if self.deadline_ns is not None:
            latest = self.clock.monotonic_ns() + self.deadline_ns
            events = [msgspec.structs.replace(event, deadline_ns=latest) for event in events]
        published = self.producer.publish(events)
        self.metrics.published.inc(len(published))
        return published

    def backlog(self) -> int:
        """Return how many entries the slowest reader has not acknowledged."""
        return self.producer.backlog()


class FeedWork:
    """One feed service."""

    def __init__(self, service: FeedService, around: Surroundings) -> None:
        self._service, self._around = service, around
        self._bus: Bus = around.connect(around.alarm)
        self._producer = Producer(
            self._bus, service.stream, service.name, around.patience, Path(service.state_folder) / "producer"
        )
        self._voice = Voice(self._producer, around.clock)
        self._feed: Feed | None = None
        self._publishing: Publishing | None = None
        self._published = 0
        self._ended = False
        self._ready = False

    def start(self) -> None:
        """Begin a run, and find out what was published before."""
        service, around = self._service, self._around
        self._producer.start()
        persist = around.patience.persist
        head = ids.parse(persist(lambda: self._bus.head(service.stream)))
        known = newest_closes(tail(self._bus, persist, service.stream, head))
        made = self._parts(known)
        self._feed, self._publishing = made.feed, Publishing(made, known)

    def ready(self) -> bool:
        """Say whether the bus takes what comes; a vendor that is away makes it no less ready."""
        if not self._ready:
            self._ready = True
            self._voice.say("ready")
        return True

    def step(self) -> int:
        """Publish what has closed."""
        if self._ended:
            self._around.pause(_PAUSE_S)
            return 0
        try:
            done = self._at_work().step()
        except Ended as error:
            self._ended = True
            log().info("ended, waits to be stopped", reason=str(error))
            return 0
        self._published += done
        return done

    def heartbeat(self) -> int:
        """Publish how far it is."""
        self._voice.say("progress", self._published, "ended" if self._ended else "")
        return 1

    def stop(self) -> None:
        """Let a pause end."""
        if self._publishing is not None:
            self._publishing.stop()

    def finish(self) -> None:
        """Say that it ends."""
        self._voice.say("stopping", self._published)

    def close(self) -> None:
        """Close what is open."""
        if self._feed is not None:
            self._feed.close()
        self._producer.close()
        self._bus.close()

    def _at_work(self) -> Publishing:
        if self._publishing is None:
            raise RuntimeError("the feed was not started")
        return self._publishing

    def _parts(self, known: Mapping[str, int]) -> Parts:
        service, options, around = self._service, self._service.feed, self._around
        clock = around.clock
        deadline_ns = None if service.deadline_ms is None else service.deadline_ms * _MILLISECOND_NS
        stamped = Stamped(self._producer, clock, around.metrics, deadline_ns)
        if isinstance(options, ReplayFeed):
            feed = sources.replay(service.name, options, known, around.credentials, clock)
            sessions, grace, backlog = None, 0, options.backlog
        else:
            feed = sources.live(options, around.credentials, clock, self._notice)
            sessions, grace, backlog = sources.sessions_of(options), options.grace_ms * _MILLISECOND, None
        is_live = not isinstance(options, ReplayFeed)
        due = Watchdog(feed.symbols, feed.interval, grace, sessions, clock.now()) if sessions else None
        return Parts(
            feed=feed,
            publisher=stamped,
            clock=clock,
            inspector=Inspector(feed.interval, sessions),
            filler=Filler(feed, clock, sessions) if is_live else None,
            watchdog=due,
            tell=self._tell,
            notify=self._notice,
            largest_backlog=backlog,
        )

    def _tell(self, state: Literal["ready", "degraded"], detail: str) -> None:
        log().log(logging.INFO if state == "ready" else logging.WARNING, state, detail=detail)
        self._voice.say(state, self._published, detail)

    def _notice(self, finding: Finding) -> None:
        self._around.metrics.findings.labels(finding.kind).inc()
        log().warning(finding.kind, symbol=finding.symbol, close=finding.closed_at, detail=finding.detail)
