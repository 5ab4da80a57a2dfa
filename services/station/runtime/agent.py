# SPDX-License-Identifier: Apache-2.0
"""The agent: a strategy behind a worker."""

from __future__ import annotations

from pathlib import Path

from station.bus import lag
from station.bus.port import Bus, GroupState
from station.bus.producer import Producer
from station.bus.worker import Counts, Reading, Worker
from station.config import AgentService
from station.domain.trading import Order
from station.halt import OrderGate
from station.runtime.answers import Answers
from station.runtime.history import Past
from station.runtime.voice import Voice
from station.runtime.work import Surroundings, log
from station.strategies.base import Strategy
from station.strategies.momentum import Momentum

_LOOK_NS = 5_000_000_000
_FAR_BEHIND = 10_000  # entries, which is what the recorder keeps in a stream by default


class AgentWork:
    """One agent service."""

    def __init__(self, service: AgentService, around: Surroundings) -> None:
        self._service, self._around = service, around
        self._strategy = strategy_of(service)
        self._past = Past()
        self._seen = Counts()
        self._told: set[str] = set()
        self._looked_ns = 0
        self._ready = False
        self._bus: Bus = around.connect(around.alarm)
        self._producer = Producer(
            self._bus, service.stream, service.name, around.patience, Path(service.state_folder) / "producer"
        )
        self._voice = Voice(self._producer, around.clock)
        gate = OrderGate(around.latch, self._denied)
        self._answers = Answers(self._strategy, service, gate, self._past, around)
        reading = Reading(streams=service.reads, group=service.name, consumer=service.name)
        self._worker = Worker(self._bus, self._producer, reading, self._answers, around.patience)

    def start(self) -> None:
        """Begin a run, and read what the strategy has forgotten."""
        persist = self._around.patience.persist
        for stream in self._service.reads:
            persist(lambda stream=stream: self._past.load(self._bus, persist, stream, self._service.name))  # type: ignore[misc]
        self._producer.start()

    def ready(self) -> bool:
        """Say whether nothing is left that was given before the start."""
        if not self._ready and not any(state.pending for state in self._groups()):
            self._answers.remember(list(self._past.rest()))
            self._ready = True
            for symbol, bars in sorted(self._strategy.missing().items()):
                log().warning("silent until it has seen more", symbol=symbol, bars=bars)
            self._voice.say("ready")
        return self._ready

    def step(self) -> int:
        """Handle what there is, one batch at most."""
        self._worker.turn()
        self._observe()
        return self._count()

    def heartbeat(self) -> int:
        """Publish how far it is."""
        self._voice.say("progress", self._worker.counts.handled)
        return 1

    def stop(self) -> None:
        """Nothing to do: a turn ends within half a second."""

    def finish(self) -> None:
        """Say that it ends; what was taken is finished at the end of each turn."""
        self._voice.say("stopping", self._worker.counts.handled)

    def close(self) -> None:
        """Close state file and connection."""
        self._producer.close()
        self._bus.close()

    def _groups(self) -> list[GroupState]:
        def look() -> list[GroupState]:
            states = [state for stream in self._service.reads for state in self._bus.groups(stream)]
            return [state for state in states if state.group == self._service.name]

        return self._around.patience.persist(look)

    def _count(self) -> int:
        """Bring the metrics up to date and return how many entries were finished."""
        now, metrics = self._worker.counts, self._around.metrics
        done = now.handled + now.dead - self._seen.handled - self._seen.dead
        metrics.read.inc(done)
        metrics.published.inc(now.published - self._seen.published)
        metrics.dead.inc(now.dead - self._seen.dead)
        self._seen = Counts(handled=now.handled, published=now.published, dead=now.dead)
        return done

    def _observe(self) -> None:
        now_ns = self._around.clock.monotonic_ns()
        if now_ns - self._looked_ns < _LOOK_NS:
            return
        self._looked_ns = now_ns
        found: set[str] = set()
        for state in self._groups():
            self._around.metrics.lag.labels(state.stream).set(state.lag or 0)
            self._around.metrics.pending.labels(state.stream).set(state.pending)
            for alarm in lag.alarms(state.stream, [state], [self._service.name], _FAR_BEHIND):
                found.add(alarm.kind + alarm.stream)
                if alarm.kind + alarm.stream not in self._told:
                    self._around.alarm(alarm)
        # Told once, until it is over.
        self._told = found

    def _denied(self, order: Order) -> None:
        self._around.metrics.denied.inc()
        log().error("order denied", order_id=order.order_id, symbol=order.symbol, reason=order.reason)


def strategy_of(service: AgentService) -> Strategy:
    """Return the strategy that a service runs."""
    options = service.strategy
    return Momentum(service.symbols, fast=options.fast, slow=options.slow, band=options.band)
