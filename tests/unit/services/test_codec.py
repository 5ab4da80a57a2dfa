# SPDX-License-Identifier: Apache-2.0
"""One event, one spelling; and what becomes of bytes that are no event of this release."""

from __future__ import annotations

import json
import unicodedata
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from station import codec
from station.domain.contest import Score, TournamentResult
from station.domain.market import Bar
from station.domain.operation import JournalNote
from station.domain.trading import Order
from station.errors import Poison
from station.events import SCHEMA, Event, JournalEvent, MarketEvent, OrderEvent, TournamentResultEvent

from tests.unit.services import event_strategies as some

BAR = Bar(
    symbol="EUR/USD",
    interval=3_600_000_000,
    open=Decimal("1.07010"),
    high=Decimal("1.0725"),
    low=Decimal("1.069"),
    close=Decimal("1.0712"),
    volume=Decimal("0"),
    source="replay",
)
MARKET = MarketEvent(
    agent_id="replay",
    run=1_700_000_000_000,
    sequence=7,
    timestamp=1_700_000_000_000_000,
    available=1_700_000_000_250_000,
    payload=BAR,
)
# Written by hand after the rules in the module's docstring: RFC 8785 and the three of our own.
MARKET_BYTES = (
    b'{"agent_id":"replay","available":"1700000000250000","payload":{"close":"1.0712","high":"1.0725",'
    b'"interval":"3600000000","low":"1.069","open":"1.07010","source":"replay","symbol":"EUR/USD","volume":"0"},'
    b'"run":"1700000000000","schema":"1","sequence":"7","timestamp":"1700000000000000","type":"MarketEvent"}'
)
ORDER = OrderEvent(
    agent_id="execution",
    run=1,
    sequence=1,
    timestamp=2,
    available=2,
    causation_id="momentum/1-3",
    correlation_id="replay/1-7",
    deadline_ns=99,
    confidence_score=Decimal("0.50"),
    competitive_score=Decimal("-1E-3"),
    payload=Order(
        order_id="o1",
        symbol="Zürich",
        side="buy",
        kind="limit",
        quantity=Decimal("1E+3"),
        state="new",
        limit_price=Decimal("-0.00"),
        reduce_only=True,
        reason='say "no"\n\x1f',
    ),
)
ORDER_BYTES = (
    b'{"agent_id":"execution","available":"2","causation_id":"momentum/1-3","competitive_score":"-0.001",'
    b'"confidence_score":"0.50","correlation_id":"replay/1-7","deadline_ns":"99","payload":{"kind":"limit",'
    b'"limit_price":"0.00","order_id":"o1","quantity":"1000","reason":"say \\"no\\"\\n\\u001f","reduce_only":true,'
    b'"side":"buy","state":"new","symbol":"Z\xc3\xbcrich","time_in_force":"day"},"run":"1","schema":"1",'
    b'"sequence":"1","timestamp":"2","type":"OrderEvent"}'
)
RESULT = TournamentResultEvent(
    agent_id="oversight",
    run=1,
    sequence=2,
    timestamp=3,
    available=3,
    payload=TournamentResult(
        tournament_id="2026-47",
        scores=(
            Score(
                strategy="momentum",
                prediction_accuracy=Decimal("0.61"),
                challenge_resilience=Decimal("0.5"),
                risk_adjusted_return=Decimal("-0.2"),
                allocation=Decimal("0.15"),
            ),
        ),
        diversity=Decimal("0.9"),
        competitive_share=Decimal("0.2"),
    ),
)
RESULT_BYTES = (
    b'{"agent_id":"oversight","available":"3","payload":{"competitive_share":"0.2","diversity":"0.9","scores":['
    b'{"allocation":"0.15","challenge_resilience":"0.5","prediction_accuracy":"0.61","risk_adjusted_return":"-0.2",'
    b'"strategy":"momentum"}],"tournament_id":"2026-47"},"run":"1","schema":"1","sequence":"2","timestamp":"3",'
    b'"type":"TournamentResultEvent"}'
)
GOLDEN = [(MARKET, MARKET_BYTES), (ORDER, ORDER_BYTES), (RESULT, RESULT_BYTES)]


def spelled(**changes: Any) -> bytes:
    """Return the golden event with other fields, spelled by another program."""
    fields = json.loads(MARKET_BYTES) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


@pytest.mark.parametrize(("event", "data"), GOLDEN, ids=["market", "order", "result"])
def test_an_event_is_spelled_as_it_was_when_the_first_journal_was_written(event: Event, data: bytes):
    assert codec.encode(event) == data
    assert codec.decode(data) == event


@given(some.events)
def test_every_event_survives_the_journey(event: Event):
    data = codec.encode(event)
    there = codec.decode(data)
    assert there == event
    assert type(there) is type(event)
    assert codec.encode(there) == data


@given(some.events)
def test_the_spelling_is_that_of_rfc_8785_with_numbers_as_text(event: Event):
    data = codec.encode(event)
    plain = json.loads(data, parse_float=pytest.fail, parse_int=pytest.fail)
    # Field names are ASCII, whose order is the same in every encoding.
    assert data == json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    assert unicodedata.is_normalized("NFC", data.decode())


@given(some.events)
def test_the_header_of_every_event_can_be_read_alone(event: Event):
    header = codec.header(codec.encode(event))
    assert header.type == type(event).__struct_config__.tag
    assert (header.run, header.sequence) == (event.run, event.sequence)
    assert (header.timestamp, header.available, header.schema) == (event.timestamp, event.available, SCHEMA)


@given(some.decimals)
def test_a_decimal_keeps_its_value_and_its_places(number: Decimal):
    [text] = json.loads(codec.canonical([number]))
    assert "e" not in text.lower()
    assert Decimal(text) == number
    assert codec.canonical([Decimal(text)]) == codec.canonical([number])


@pytest.mark.parametrize(
    ("number", "text"),
    [("1.10", "1.10"), ("1E+3", "1000"), ("1E-7", "0.0000001"), ("-0", "0"), ("-0.00", "0.00"), ("-1.5E2", "-150")],
)
def test_a_decimal_has_no_exponent_and_there_is_one_zero(number: str, text: str):
    assert codec.canonical([Decimal(number)]) == f'["{text}"]'.encode()


@given(some.unnormalised)
def test_text_has_one_unicode_form(text: str):
    forms = {codec.canonical([unicodedata.normalize(form, text)]) for form in ("NFC", "NFD")}
    assert forms == {codec.canonical([text])}


def test_what_is_absent_is_left_out():
    assert codec.canonical({"a": None, "b": {}, "c": (), "d": False}) == b'{"b":{},"c":[],"d":false}'


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), Decimal("NaN"), Decimal("-Infinity"), None, b"bytes", {1.5: "x"}, [{"a": object}], {"set"}],
    ids=repr,
)
def test_what_has_no_single_spelling_is_refused(value: object):
    with pytest.raises(TypeError):
        codec.canonical([value])


def test_two_keys_that_become_one_are_refused():
    with pytest.raises(TypeError, match="one canonical form"):
        codec.canonical({"e\u0301": "1", "é": "2"})


def test_a_float_in_an_event_is_refused():
    with pytest.raises(TypeError, match="float"):
        codec.encode(msgspec.structs.replace(MARKET, payload=msgspec.structs.replace(BAR, close=1.07)))


def test_a_field_that_this_release_does_not_know_is_passed_over():
    newer = spelled(colour="blue", payload=json.loads(MARKET_BYTES)["payload"] | {"trades": "17", "quotes": [1.5]})
    assert codec.decode(newer) == MARKET


def test_an_optional_field_that_an_older_release_did_not_write_has_its_default():
    note = JournalEvent(agent_id="r", run=1, sequence=1, timestamp=1, available=1, payload=JournalNote(note="gap"))
    older = codec.encode(note).replace(b'"detail":{},', b"")
    assert codec.decode(older) == note


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(json.loads(MARKET_BYTES)["payload"], id="the same fields, which may mean something else"),
        pytest.param({"price": "1"}, id="other fields"),
    ],
)
def test_a_newer_schema_is_refused_by_name_and_its_header_can_be_read(payload: dict[str, str]):
    newer = spelled(schema="2", payload=payload)
    with pytest.raises(Poison, match="MarketEvent has schema 2, this release reads up to 1"):
        codec.decode(newer)
    assert codec.header(newer).schema == 2


def test_an_unknown_type_is_refused_by_name_and_its_header_can_be_read():
    newer = spelled(type="AuctionEvent", payload={"lots": "3"})
    with pytest.raises(Poison, match="AuctionEvent of replay"):
        codec.decode(newer)
    assert codec.header(newer).type == "AuctionEvent"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"null", "object"),
        (b"[]", "object"),
        (b"\xff\xfe", "malformed"),
        (MARKET_BYTES[:-1], "truncated"),
        (MARKET_BYTES + b"}", "trailing"),
        (MARKET_BYTES.replace(b"EUR", b"\xff"), "utf-8"),
        (b'{"type":' * 5000, "recursion"),
        (spelled(payload=...), "payload"),
        (spelled(run="soon"), "run"),
        (spelled(run="9" * 5000), "run"),
        (spelled(agent_id=None), "agent_id"),
        (MARKET_BYTES.replace(b"1.0725", b"NaN"), "not finite"),
        (MARKET_BYTES.replace(b"1.0725", b"-Infinity"), "not finite"),
        (RESULT_BYTES.replace(b"0.61", b"NaN"), "not finite"),
        (ORDER_BYTES.replace(b"0.50", b"Infinity"), "not finite"),
        (ORDER_BYTES.replace(b'"buy"', b'"hold"'), "OrderEvent of execution.*hold"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_rubbish_is_poison_with_a_reason(data: bytes, reason: str):
    with pytest.raises(Poison, match=reason):
        codec.decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_poison(data: bytes):
    for read in (codec.decode, codec.header):
        with pytest.raises(Poison):
            read(data)


@given(st.integers(0, len(ORDER_BYTES) - 1), st.integers(0, 255))
def test_an_altered_byte_makes_another_event_or_poison(place: int, byte: int):
    altered = ORDER_BYTES[:place] + bytes([byte]) + ORDER_BYTES[place + 1 :]
    try:
        event = codec.decode(altered)
    except Poison:
        return
    assert codec.decode(codec.encode(event)) == event
