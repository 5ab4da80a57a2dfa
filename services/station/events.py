# SPDX-License-Identifier: Apache-2.0
"""Events: one envelope, and a payload that its type decides.

A producer writes one stream and numbers what it publishes: `run` is when it was started (milliseconds since 1970),
`sequence` counts from 1 within the run. Both are the entry's id in the stream, so that an entry sent twice is one
entry, and a missing number is a lost event.

Adding an optional field keeps `schema`; anything else raises it, and a reader that knows less refuses the event by
name.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from station.domain.contest import Challenge, Defense, TournamentResult
from station.domain.market import Bar
from station.domain.operation import Health, JournalNote, Mode
from station.domain.trading import Fill, Order, RiskAlert, Signal

SCHEMA = 1


class Envelope(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event says, whatever it is about."""

    agent_id: str  # the producer
    run: int
    sequence: int
    timestamp: int  # microseconds UTC: when it happened; a bar's close
    available: int  # microseconds UTC: when anybody could first know it
    correlation_id: str | None = None  # id of the event that this chain of events began with
    causation_id: str | None = None  # id of the event that this one answers
    deadline_ns: int | None = None  # CLOCK_MONOTONIC of the host; later an answer is of no use
    confidence_score: Decimal | None = None
    competitive_score: Decimal | None = None
    schema: int = SCHEMA

    @property
    def event_id(self) -> str:
        """Return the identity of this event among all."""
        return f"{self.agent_id}/{self.run}-{self.sequence}"

    @property
    def entry_id(self) -> str:
        """Return the id of its entry in the producer's stream."""
        return f"{self.run}-{self.sequence}"


class MarketEvent(Envelope, frozen=True, kw_only=True, tag="MarketEvent"):
    """A bar closed."""

    payload: Bar


class SignalEvent(Envelope, frozen=True, kw_only=True, tag="SignalEvent"):
    """A strategy changed its mind."""

    payload: Signal


class RiskAlertEvent(Envelope, frozen=True, kw_only=True, tag="RiskAlert"):
    """A limit was reached."""

    payload: RiskAlert


class OrderEvent(Envelope, frozen=True, kw_only=True, tag="OrderEvent"):
    """An order changed its state."""

    payload: Order


class FillEvent(Envelope, frozen=True, kw_only=True, tag="FillEvent"):
    """Something was traded."""

    payload: Fill


class ChallengeEvent(Envelope, frozen=True, kw_only=True, tag="ChallengeEvent"):
    """A prediction was challenged."""

    payload: Challenge


class DefenseEvent(Envelope, frozen=True, kw_only=True, tag="DefenseEvent"):
    """A challenge was answered."""

    payload: Defense


class TournamentResultEvent(Envelope, frozen=True, kw_only=True, tag="TournamentResultEvent"):
    """A tournament ended."""

    payload: TournamentResult


class ModeEvent(Envelope, frozen=True, kw_only=True, tag="ModeEvent"):
    """The station changed its mode."""

    payload: Mode


class HealthEvent(Envelope, frozen=True, kw_only=True, tag="HealthEvent"):
    """A service said how it is."""

    payload: Health


class JournalEvent(Envelope, frozen=True, kw_only=True, tag="JournalEvent"):
    """The recorder noted something about the journal itself."""

    payload: JournalNote


Event = (
    MarketEvent
    | SignalEvent
    | RiskAlertEvent
    | OrderEvent
    | FillEvent
    | ChallengeEvent
    | DefenseEvent
    | TournamentResultEvent
    | ModeEvent
    | HealthEvent
    | JournalEvent
)
