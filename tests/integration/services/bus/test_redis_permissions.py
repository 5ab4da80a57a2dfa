# SPDX-License-Identifier: Apache-2.0
"""What the bus does is what the access list of role redis lets its users do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from station.bus.port import Entry
from station.bus.redis_stream import RedisBus
from station.bus.wire import Server
from station.errors import StationError

from tests.servers.redis import access

STREAM, OUT, GROUP = "md:replay", "strat:momentum", "momentum"


@pytest.fixture
def connect(new_redis: Callable[..., Any]) -> Callable[[str], RedisBus]:
    """Return a function that connects as one of the users of the role."""
    server = new_redis(*access())
    return lambda name: RedisBus(Server(server.socket, name, name), left_lying_ms=0)


def test_an_agent_may_do_all_that_a_worker_does(connect):
    agent, other = connect("agents"), connect("agents")
    agent.publish([Entry(STREAM, f"1-{number}", b"1") for number in (1, 2, 3)])
    question, poison, left = agent.consume([STREAM], GROUP, "a", 10)
    agent.publish([Entry(OUT, "1-1", b"2")], [question], GROUP)
    agent.dead_letter(GROUP, poison, "no")
    assert [letter.entry.entry_id for letter in agent.dead_letters(GROUP)] == ["1-2"]
    assert other.consume([STREAM], GROUP, "b", 10)[0].entry_id == left.entry_id
    other.acknowledge(GROUP, [left])
    assert other.groups(STREAM)[0].pending == 0
    assert agent.head(STREAM) == "1-3"
    with pytest.raises(StationError, match="permission"):
        agent.trim(STREAM, "1-3")


@pytest.mark.parametrize(("user", "stream"), [("developer", "strat:trial"), ("tournament", "tourn:spring")])
def test_whoever_reads_through_a_group_may_lay_aside_what_it_cannot_take(connect, user, stream):
    reader = connect(user)
    reader.publish([Entry(stream, "1-1", b"1")])
    (poison,) = reader.consume([stream], user, "a", 10)
    reader.dead_letter(user, poison, "no")
    assert [letter.entry.entry_id for letter in reader.dead_letters(user)] == ["1-1"]
    assert reader.groups(stream)[0].pending == 0
    with pytest.raises(StationError, match="permission"):
        reader.publish([Entry(STREAM, "1-1", b"1")])


def test_what_is_no_dead_letter_is_shown_as_such(connect):
    agent = connect("agents")
    agent._wire.ask(("XADD", f"dead:{GROUP}", "7-1", "close", "1.1"))
    (letter,) = agent.dead_letters(GROUP)
    assert (letter.letter_id, letter.reason, letter.entry.data) == ("7-1", "no dead letter", b"")


def test_the_recorder_may_find_read_and_trim_every_stream_and_write_none(connect):
    connect("agents").publish([Entry(STREAM, f"1-{number}", b"1") for number in (1, 2, 3)])
    recorder = connect("journal")
    assert recorder.streams() == [STREAM]
    entries = recorder.consume([STREAM], "journal", "recorder", 10)
    recorder.dead_letter("journal", entries[0], "no")
    recorder.acknowledge("journal", entries)
    assert recorder.trim(STREAM, "1-3") == 2
    with pytest.raises(StationError, match="permission"):
        recorder.publish([Entry(STREAM, "1-4", b"1")])
