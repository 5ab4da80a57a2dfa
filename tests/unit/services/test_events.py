# SPDX-License-Identifier: Apache-2.0
"""The envelope: what the owner's fields are called, and which identity an event has."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from station import codec, events
from station.events import Event

from tests.unit.services import event_strategies as some


@given(some.events)
def test_every_event_has_the_fields_of_the_owner(event: Event):
    fields = json.loads(codec.encode(event))
    assert {"timestamp", "agent_id", "payload", "type"} <= fields.keys()
    assert ("confidence_score" in fields) == (event.confidence_score is not None)
    assert ("competitive_score" in fields) == (event.competitive_score is not None)


def test_the_types_are_those_that_were_agreed():
    assert [kind.__struct_config__.tag for kind in some.TYPES] == [
        "MarketEvent",
        "SignalEvent",
        "RiskAlert",
        "OrderEvent",
        "FillEvent",
        "ChallengeEvent",
        "DefenseEvent",
        "TournamentResultEvent",
        "ModeEvent",
        "HealthEvent",
        "JournalEvent",
    ]


@pytest.mark.parametrize("kind", some.TYPES, ids=lambda kind: kind.__name__)
def test_events_are_frozen(kind: type[Event]):
    assert kind.__struct_config__.frozen
    payload = kind.__annotations__["payload"]
    assert getattr(events, payload).__struct_config__.frozen


@given(some.events)
def test_the_identity_is_the_producer_and_its_number(event: Event):
    assert event.entry_id == f"{event.run}-{event.sequence}"
    assert event.event_id == f"{event.agent_id}/{event.entry_id}"
