# SPDX-License-Identifier: Apache-2.0
"""Records: joined from the bytes that were sent, and what cannot be one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station import codec
from station.domain.operation import JournalNote
from station.errors import Poison
from station.events import JournalEvent
from station.journal import record as records

from tests.unit.services.journal import journal_kit as kit

EVENT = codec.encode(kit.bar(12))
ENTRY = kit.bar(12).entry_id


def with_(old: bytes, new: bytes) -> bytes:
    assert old in EVENT
    return EVENT.replace(old, new)


def test_a_record_is_the_event_s_own_bytes_between_where_and_when_it_came():
    assert records.compose("5-12", b'{"a":"b"}', records.tail(17, "md:replay")) == (
        b'{"entry":"5-12","event":{"a":"b"},"recorded":"17","stream":"md:replay"}'
    )


@given(st.text(max_size=20))
def test_a_record_is_canonical_and_comes_apart_again_whatever_the_stream_is_called(stream):
    data = records.compose(ENTRY, EVENT, records.tail(17, stream))
    assert data == codec.canonical({k: json.loads(data)[k] for k in ("stream", "entry", "event", "recorded")})
    record = records.parse(data)
    assert (record.entry, bytes(record.event), record.recorded) == (ENTRY, EVENT, 17)
    assert codec.canonical(record.stream) == codec.canonical(stream)


def test_only_the_recorder_s_own_notes_are_notes():
    note = JournalNote(note="gap", detail={"run": "1"})
    event = codec.encode(JournalEvent(agent_id="x", run=1, sequence=1, timestamp=1, available=1, payload=note))
    assert records.note_of(records.parse(records.compose("1-1", event, records.tail(1, "journal")))) == note
    assert records.note_of(records.parse(records.compose("1-1", event, records.tail(1, "strat:x")))) is None
    assert records.note_of(records.parse(records.compose("1-1", EVENT, records.tail(1, "journal")))) is None


@pytest.mark.parametrize("data", [b"", b'{"entry":"1-1"}', b'{"entry":"\xb1"}', b'{"event":' + b"[" * 5000])
def test_what_is_no_record_is_poison(data):
    with pytest.raises(Poison, match="not a record"):
        records.parse(data)


def test_an_event_of_a_type_and_a_schema_nobody_knows_is_recorded():
    assert not records.problem(ENTRY, with_(b'"MarketEvent"', b'"NewsEvent"').replace(b'"schema":"1"', b'"schema":"9"'))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an event"),
        (b"bought the dip", "not an event"),
        (EVENT[:-1], "not an event"),
        (with_(b'"EURUSD"', b'"EUR\xff"'), "not UTF-8"),
        (with_(b'"EURUSD"', b"[" * 3000 + b"]" * 3000), "maximum recursion depth"),
        (with_(b'"EURUSD"', b"[" * 63 + b"]" * 63), "nested too deeply"),
        (EVENT + b"\n", "line feed"),
        (with_(b'"EURUSD"', b'"%b"' % (b"x" * records.LONGEST_EVENT)), "more than 262144"),
        (with_(b'"sequence":"12"', b'"sequence":"13"'), f"it says {kit.RUN}-13"),
        (with_(b'"agent_id":"replay"', b'"agent_id":""'), "'' is no name"),
        (with_(b'"agent_id":"replay"', b'"agent_id":"a\\u0000b"'), "is no name"),
        (with_(b'"MarketEvent"', b'"%b"' % (b"x" * 129)), "is no name"),
        (with_(b'"timestamp":"', b'"timestamp":"-'), "between 1970 and 2200"),
        (with_(b'"timestamp":"', b'"timestamp":"9999'), "between 1970 and 2200"),
    ],
)
def test_what_a_segment_or_a_row_could_not_hold_is_no_record(data, reason):
    assert reason in records.problem(ENTRY, data)


def test_many_brackets_that_are_not_within_each_other_are_a_record():
    assert not records.problem(ENTRY, with_(b'"EURUSD"', b"[" + b"[]," * 100 + b'"%b"]' % (b"[{" * 100)))


@given(st.binary(max_size=40) | st.integers(0, len(EVENT) - 1))
def test_whatever_is_admitted_is_one_line_and_text_and_json(mutation):
    if isinstance(mutation, int):
        data = EVENT[:mutation] + bytes([EVENT[mutation] ^ 1]) + EVENT[mutation + 1 :]
    else:
        data = EVENT[:-1] + b',"x":' + mutation + b"}"
    if not records.problem(ENTRY, data):
        assert b"\n" not in data
        assert isinstance(json.loads(data.decode()), dict)
