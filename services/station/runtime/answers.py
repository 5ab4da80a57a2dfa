# SPDX-License-Identifier: Apache-2.0
"""From an event to what a strategy makes of it: in time or not at all, and no order past the kill switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from station import logs
from station.config import AgentService
from station.domain.trading import Order, RiskAlert, Signal
from station.events import Event, OrderEvent, RiskAlertEvent, SignalEvent
from station.halt import OrderGate
from station.runtime.history import Past
from station.runtime.work import Surroundings, log
from station.strategies.base import Payload, Strategy

_MILLISECOND_NS = 1_000_000
_SECOND_NS = 1_000_000_000


class Answers:
    """What the worker calls with each event.

    Strategies return payloads and publish nothing themselves, so every order of theirs comes through the gate here.
    """

    def __init__(
        self, strategy: Strategy, service: AgentService, gate: OrderGate, past: Past, around: Surroundings
    ) -> None:
        """Set it up.

        Args:
            strategy: what decides.
            service: its budget and deadline.
            gate: the door for orders.
            past: what the strategy has to see again after a restart.
            around: its clock tells what is late, its metrics count that.
        """
        self._strategy, self._gate, self._past = strategy, gate, past
        self._clock, self._metrics = around.clock, around.metrics
        self._budget_ns = service.budget_ms * _MILLISECOND_NS
        self._deadline_ns = service.deadline_ms * _MILLISECOND_NS

    def __call__(self, event: Event) -> list[Event]:
        """Return the events that follow from one; none if they came too late to be of use."""
        with logs.about(event):
            self.remember(list(self._past.before(event)))
            begun_ns = self._clock.monotonic_ns()
            payloads = self._strategy.on_event(event)
            ended_ns = self._clock.monotonic_ns()
            self._metrics.handling.observe((ended_ns - begun_ns) / _SECOND_NS)
            if not payloads:
                return []
            deadline_ns = min(begun_ns + self._deadline_ns, event.deadline_ns or begun_ns + self._deadline_ns)
            if ended_ns > min(deadline_ns, begun_ns + self._budget_ns):
                self._metrics.late.inc()
                self._strategy.unsaid(payloads)
                log().warning(
                    "too late, dropped", answers=len(payloads), took_ms=(ended_ns - begun_ns) / _MILLISECOND_NS
                )
                return []
            return [_answer(event, self._gate.admit(payload), deadline_ns) for payload in payloads]

    def remember(self, events: Sequence[Event]) -> None:
        """Let the strategy see what it was given before a restart; what it says to that was said then."""
        for event in events:
            try:
                self._strategy.on_event(event)
            except Exception:  # noqa: BLE001 - then it is among the dead letters
                log().warning("cannot be remembered", event_id=event.event_id, exc_info=True)


def _answer(cause: Event, payload: Payload, deadline_ns: int) -> Event:
    # Its times are those of its cause, not of this clock: a replay then says what was said live. Who publishes it sets
    # number and ids.
    about: dict[str, Any] = {
        "agent_id": "",
        "run": 0,
        "sequence": 0,
        "timestamp": cause.available,
        "available": cause.available,
        "deadline_ns": deadline_ns,
    }
    match payload:
        case Signal():
            return SignalEvent(**about, payload=payload)
        case RiskAlert():
            return RiskAlertEvent(**about, payload=payload)
        case Order():
            return OrderEvent(**about, payload=payload)
