# SPDX-License-Identifier: Apache-2.0
"""What a service says of itself on its own stream."""

from __future__ import annotations

from typing import Literal

from station.bus.producer import Producer
from station.clock import Clock
from station.domain.operation import Health
from station.events import HealthEvent

State = Literal["ready", "progress", "degraded", "stopping"]


class Voice:
    """Publishes HealthEvents; each that was published is also a proof that the bus takes what this service says."""

    def __init__(self, producer: Producer, clock: Clock) -> None:
        self._producer, self._clock = producer, clock

    def say(self, state: State, progress: int = 0, detail: str = "") -> None:
        """Publish how the service is.

        Raises:
            Unavailable: stopped before the bus answered.
        """
        now = self._clock.now()
        health = Health(state=state, progress=progress, detail=detail)
        self._producer.publish(
            [HealthEvent(agent_id="", run=0, sequence=0, timestamp=now, available=now, payload=health)]
        )
