# SPDX-License-Identifier: Apache-2.0
"""What every bus keeps to, whatever carries it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from station.bus import ids, lag
from station.bus.alarms import Alarm
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Bus, Entry
from station.bus.redis_stream import RedisBus
from station.errors import Conflict

STREAM, OTHER, OUT, GROUP = "md:replay", "md:other", "strat:momentum", "momentum"
LEFT_LYING_MS = 40


@dataclass
class World:
    """Connections to one set of streams, and somebody who damages it."""

    new: Callable[[], Bus]
    destroy_group: Callable[[str, str], object]
    remove: Callable[[str, str], object]  # stream, entries before
    remove_stream: Callable[[str], object]
    alarms: list[Alarm] = field(default_factory=list)
    buses: list[Bus] = field(default_factory=list)

    def connect(self) -> Bus:
        bus = self.new()
        self.buses.append(bus)
        return bus

    def kinds(self) -> list[str]:
        return [alarm.kind for alarm in self.alarms]


def in_memory() -> World:
    streams, alarms = Streams(), list[Alarm]()
    return World(
        new=lambda: MemoryBus(streams, left_lying_ms=LEFT_LYING_MS, raise_alarm=alarms.append),
        destroy_group=lambda stream, group: streams.by_name[stream].groups.pop(group),
        remove=lambda stream, before: streams.by_name[stream].remove(ids.parse(before)),
        remove_stream=streams.by_name.__delitem__,
        alarms=alarms,
    )


@pytest.fixture(params=["memory", "redis", "redis_7"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        made = in_memory()
    else:
        server, alarms = request.getfixturevalue(f"{request.param}_server"), list[Alarm]()
        made = World(
            new=lambda: RedisBus(server.server(), left_lying_ms=LEFT_LYING_MS, raise_alarm=alarms.append),
            destroy_group=lambda stream, group: server.client().xgroup_destroy(stream, group),
            remove=lambda stream, before: server.client().xtrim(stream, minid=before, approximate=False),
            remove_stream=server.client().delete,
            alarms=alarms,
        )
    yield made
    for bus in made.buses:
        bus.close()


@pytest.fixture
def bus(world: World) -> Bus:
    return world.connect()


def entry(sequence: int, stream: str = STREAM, run: int = 1) -> Entry:
    return Entry(stream, f"{run}-{sequence}", b'{"number":"%d"}' % sequence)


def entries(*sequences: int, stream: str = STREAM) -> list[Entry]:
    return [entry(sequence, stream) for sequence in sequences]


def taken(found: list[Entry]) -> list[str]:
    return [one.entry_id for one in found]


def wait_for(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline, "it does not happen"
    return found


def wait_until_left_lying() -> None:
    threading.Event().wait(LEFT_LYING_MS / 1000 + 0.02)


def test_what_is_published_is_consumed_byte_for_byte_and_in_order(bus: Bus):
    sent = [Entry(STREAM, "1-1", b""), Entry(STREAM, "1-2", bytes(range(256))), Entry(STREAM, "2-1", "Zürich".encode())]
    bus.publish(sent)
    assert bus.consume([STREAM], GROUP, "a", 10) == sent
    assert bus.consume([STREAM], GROUP, "a", 10) == []


def test_a_group_begins_at_the_beginning_of_a_stream_and_each_group_is_given_everything(bus: Bus):
    bus.publish(entries(1, 2))
    assert taken(bus.consume([STREAM], GROUP, "a", 10)) == ["1-1", "1-2"]
    assert taken(bus.consume([STREAM], "journal", "a", 10)) == ["1-1", "1-2"]


def test_two_consumers_of_a_group_share_its_entries(world: World):
    first, second = world.connect(), world.connect()
    first.publish(entries(1, 2, 3))
    assert taken(first.consume([STREAM], GROUP, "a", 2)) == ["1-1", "1-2"]
    assert taken(second.consume([STREAM], GROUP, "b", 2)) == ["1-3"]


def test_the_count_holds_for_each_stream(bus: Bus):
    bus.publish(entries(1, 2, 3) + entries(1, 2, 3, stream=OTHER))
    found = bus.consume([STREAM, OTHER], GROUP, "a", 2)
    assert [(one.stream, one.entry_id) for one in found] == [
        *((STREAM, "1-1"), (STREAM, "1-2")),
        *((OTHER, "1-1"), (OTHER, "1-2")),
    ]


def test_a_stream_that_joins_later_is_read_from_its_beginning_and_the_others_go_on(bus: Bus):
    bus.publish(entries(1) + entries(1, stream=OTHER))
    assert taken(bus.consume([STREAM], GROUP, "a", 10)) == ["1-1"]
    found = bus.consume([STREAM, OTHER], GROUP, "a", 10)
    assert [(one.stream, one.entry_id) for one in found] == [(OTHER, "1-1")]


def test_a_waiting_consumer_is_given_what_is_published_meanwhile(world: World):
    reader, writer = world.connect(), world.connect()
    assert reader.consume([STREAM], GROUP, "a", 10) == []
    threading.Timer(0.1, writer.publish, [entries(1)]).start()
    found = wait_for(lambda: reader.consume([STREAM], GROUP, "a", 10, wait_ms=2000))
    assert taken(found) == ["1-1"]


def test_publishing_an_entry_again_changes_nothing(bus: Bus):
    bus.publish(entries(1, 2))
    bus.publish(entries(1, 2))
    bus.publish(entries(2, 3))
    assert taken(bus.read(STREAM, "0-0", 10)) == ["1-1", "1-2", "1-3"]


def test_another_entry_with_a_taken_id_is_a_conflict(bus: Bus):
    bus.publish(entries(1))
    with pytest.raises(Conflict, match="1-1"):
        bus.publish([Entry(STREAM, "1-1", b"{}")])
    assert bus.read(STREAM, "0-0", 10) == entries(1)


def test_an_id_behind_the_newest_is_a_conflict_even_when_the_stream_has_been_emptied(world: World, bus: Bus):
    bus.publish([entry(1, run=7)])
    world.remove(STREAM, "8-0")
    with pytest.raises(Conflict, match="7-1"):
        bus.publish([entry(5, run=6)])
    with pytest.raises(Conflict, match="7-1"):
        world.connect().publish([entry(5, run=6)])


def test_a_conflict_leaves_nothing_done_of_what_was_to_be_done_with_it(world: World, bus: Bus):
    bus.publish(entries(1))
    [question] = bus.consume([STREAM], GROUP, "a", 10)
    bus.publish(entries(1, stream=OUT))
    world.connect().publish([entry(1, stream=OUT, run=9)])  # a second writer
    with pytest.raises(Conflict):
        bus.publish(entries(2, stream=OUT), acknowledge=[question], group=GROUP)
    assert taken(bus.read(OUT, "0-0", 10)) == ["1-1", "9-1"]
    assert bus.groups(STREAM)[0].pending == 1


def test_answers_and_acknowledgement_are_one(bus: Bus):
    bus.publish(entries(1, 2))
    questions = bus.consume([STREAM], GROUP, "a", 10)
    bus.publish(entries(1, 2, stream=OUT), acknowledge=questions, group=GROUP)
    assert bus.groups(STREAM)[0].pending == 0
    assert bus.read(OUT, "0-0", 10) == entries(1, 2, stream=OUT)


def test_an_acknowledgement_alone_can_be_published_too(bus: Bus):
    bus.publish(entries(1))
    bus.publish([], acknowledge=bus.consume([STREAM], GROUP, "a", 10), group=GROUP)
    assert bus.groups(STREAM)[0].pending == 0


def test_what_a_consumer_never_acknowledged_comes_first_after_its_restart_with_the_number_of_deliveries(world: World):
    before = world.connect()
    before.publish(entries(1, 2, 3))
    before.acknowledge(GROUP, before.consume([STREAM], GROUP, "a", 3)[1:2])
    before.publish(entries(4))
    before.close()
    after = world.connect()
    found = after.consume([STREAM], GROUP, "a", 10)
    assert [(one.entry_id, one.deliveries) for one in found] == [("1-1", 2), ("1-3", 2)]
    assert [(one.entry_id, one.deliveries) for one in after.consume([STREAM], GROUP, "a", 10)] == [("1-4", 1)]


def test_own_pending_entries_come_in_parts_of_the_count(world: World):
    before = world.connect()
    before.publish(entries(1, 2, 3, 4) + entries(1, stream=OTHER))
    before.consume([STREAM, OTHER], GROUP, "a", 10)
    after = world.connect()
    parts = [after.consume([STREAM, OTHER], GROUP, "a", 2) for _ in range(4)]
    assert [[(one.stream, one.entry_id) for one in part] for part in parts] == [
        [(STREAM, "1-1"), (STREAM, "1-2"), (OTHER, "1-1")],
        [(STREAM, "1-3"), (STREAM, "1-4")],
        [],
        [],
    ]


def test_what_a_consumer_still_holds_is_not_given_to_it_again(bus: Bus):
    bus.publish(entries(1))
    bus.consume([STREAM], GROUP, "a", 10)
    wait_until_left_lying()
    assert bus.consume([STREAM], GROUP, "a", 10) == []


def test_what_a_consumer_left_lying_is_given_to_another_before_what_is_new(world: World):
    gone, heir = world.connect(), world.connect()
    gone.publish(entries(1, 2, 3))
    gone.consume([STREAM], GROUP, "gone", 2)
    wait_until_left_lying()
    found = heir.consume([STREAM], GROUP, "heir", 10)
    assert [(one.entry_id, one.deliveries) for one in found] == [("1-1", 2), ("1-2", 2)]
    assert taken(heir.consume([STREAM], GROUP, "heir", 10)) == ["1-3"]


def test_the_count_holds_for_what_several_left_lying_too(world: World):
    heir = world.connect()
    heir.publish(entries(1, 2, 3, 4))
    for name in ("gone", "lost"):
        world.connect().consume([STREAM], GROUP, name, 2)
    wait_until_left_lying()
    found = [heir.consume([STREAM], GROUP, "heir", 2) for _ in range(2)]
    assert sorted(taken(found[0] + found[1])) == ["1-1", "1-2", "1-3", "1-4"]


def test_what_somebody_is_at_work_on_is_left_to_him(world: World):
    busy, idle = world.connect(), world.connect()
    busy.publish(entries(1))
    busy.consume([STREAM], GROUP, "busy", 10)
    assert idle.consume([STREAM], GROUP, "idle", 10) == []


def test_an_entry_that_was_removed_under_its_consumer_is_a_loss_that_is_told(world: World):
    before = world.connect()
    before.publish(entries(1, 2, 3))
    before.consume([STREAM], GROUP, "a", 10)
    world.remove(STREAM, "1-3")
    after = world.connect()
    assert taken(after.consume([STREAM], GROUP, "a", 10)) == ["1-3"]
    assert world.kinds() == ["lost_entries"]
    assert "2 entries" in world.alarms[0].text
    assert after.groups(STREAM)[0].oldest_pending == "1-3"


def test_an_entry_that_was_removed_while_it_lay_is_a_loss_that_is_told(world: World):
    gone, heir = world.connect(), world.connect()
    gone.publish(entries(1, 2))
    gone.consume([STREAM], GROUP, "gone", 10)
    world.remove(STREAM, "1-2")
    wait_until_left_lying()
    assert taken(heir.consume([STREAM], GROUP, "heir", 10)) == ["1-2"]
    assert world.kinds() == ["lost_entries"]
    assert "1-1" in world.alarms[0].text


def test_a_group_that_is_destroyed_raises_an_alarm_and_everything_is_delivered_again(world: World, bus: Bus):
    bus.publish(entries(1, 2))
    bus.acknowledge(GROUP, bus.consume([STREAM], GROUP, "a", 10))
    assert world.kinds() == []
    world.destroy_group(STREAM, GROUP)
    bus.publish(entries(3))
    assert taken(bus.consume([STREAM], GROUP, "a", 10)) == ["1-1", "1-2", "1-3"]
    assert [(alarm.kind, alarm.stream, alarm.group) for alarm in world.alarms] == [("lost_group", STREAM, GROUP)]


def test_only_the_stream_whose_group_was_destroyed_is_delivered_again(world: World, bus: Bus):
    bus.publish(entries(1) + entries(1, stream=OTHER))
    bus.acknowledge(GROUP, bus.consume([STREAM, OTHER], GROUP, "a", 10))
    world.destroy_group(OTHER, GROUP)
    found = bus.consume([STREAM, OTHER], GROUP, "a", 10)
    assert [(one.stream, one.entry_id) for one in found] == [(OTHER, "1-1")]
    assert [alarm.stream for alarm in world.alarms] == [OTHER]


def test_a_group_that_is_destroyed_under_a_waiting_consumer_is_told_too(world: World, bus: Bus):
    bus.publish(entries(1))
    bus.acknowledge(GROUP, bus.consume([STREAM], GROUP, "a", 10))
    threading.Timer(0.1, world.destroy_group, [STREAM, GROUP]).start()
    found = wait_for(lambda: bus.consume([STREAM], GROUP, "a", 10, wait_ms=1000))
    assert taken(found) == ["1-1"]
    assert world.kinds() == ["lost_group"]


def test_a_stream_that_is_removed_under_a_waiting_consumer_is_told_and_waited_for_anew(world: World, bus: Bus):
    bus.publish(entries(1))
    bus.acknowledge(GROUP, bus.consume([STREAM], GROUP, "a", 10))
    threading.Timer(0.1, world.remove_stream, [STREAM]).start()
    wait_for(lambda: bus.consume([STREAM], GROUP, "a", 10, wait_ms=200) or world.alarms)
    world.connect().publish([entry(1, run=2)])
    assert taken(bus.consume([STREAM], GROUP, "a", 10)) == ["2-1"]
    assert world.kinds() == ["lost_group"]


def test_a_dead_letter_keeps_the_entry_its_place_and_the_reason(bus: Bus):
    bus.publish(entries(1, 2))
    first, second = bus.consume([STREAM], GROUP, "a", 10)
    bus.dead_letter(GROUP, first, "no price — £")
    [letter] = bus.dead_letters(GROUP)
    assert (letter.entry, letter.reason) == (entry(1), "no price — £")
    assert bus.groups(STREAM)[0].oldest_pending == "1-2"
    bus.dead_letter(GROUP, second, "")
    assert [one.entry for one in bus.dead_letters(GROUP, after=letter.letter_id)] == [entry(2)]
    assert taken(bus.read("dead:momentum", "0-0", 10))[0] == letter.letter_id


def test_an_entry_is_moved_to_the_dead_letters_once(bus: Bus):
    bus.publish(entries(1))
    [poison] = bus.consume([STREAM], GROUP, "a", 10)
    bus.dead_letter(GROUP, poison, "no")
    bus.dead_letter(GROUP, poison, "no")
    assert len(bus.dead_letters(GROUP)) == 1


def test_a_reason_that_has_no_end_or_no_spelling_is_cut_and_spelled(bus: Bus):
    bus.publish(entries(1))
    [poison] = bus.consume([STREAM], GROUP, "a", 10)
    bus.dead_letter(GROUP, poison, "\ud800" + 10_000 * "x")
    [letter] = bus.dead_letters(GROUP)
    assert letter.reason.startswith("?xxx")
    assert len(letter.reason) == 500


def test_streams_and_heads_are_known(bus: Bus):
    assert bus.streams() == []
    assert bus.head(STREAM) == "0-0"
    assert bus.read(STREAM, "0-0", 10) == []
    assert bus.groups(STREAM) == []
    assert bus.trim(STREAM, "9-9") == 0
    bus.publish(entries(3) + entries(1, stream=OTHER))
    assert bus.streams() == [OTHER, STREAM]
    assert bus.head(STREAM) == "1-3"


def test_reading_without_a_group_goes_on_behind_an_id_and_gives_nothing_away(bus: Bus):
    bus.publish(entries(1, 2, 3))
    assert taken(bus.read(STREAM, "1-1", 1)) == ["1-2"]
    assert taken(bus.consume([STREAM], GROUP, "a", 10)) == ["1-1", "1-2", "1-3"]


def test_the_state_of_a_group_tells_how_far_it_has_come(bus: Bus):
    bus.publish(entries(1, 2, 3, 4))
    bus.acknowledge(GROUP, bus.consume([STREAM], GROUP, "a", 3)[:1])
    [state] = bus.groups(STREAM)
    assert (state.stream, state.group, state.length, state.head) == (STREAM, GROUP, 4, "1-4")
    assert (state.delivered, state.pending, state.oldest_pending, state.lag) == ("1-3", 2, "1-2", 1)
    assert lag.backlog([state]) == 3


def test_nothing_is_trimmed_that_a_group_has_not_acknowledged(bus: Bus):
    bus.publish(entries(1, 2, 3, 4, 5))
    assert bus.trim(STREAM, "9-0") == 0  # nobody has read it
    fast = bus.consume([STREAM], "journal", "a", 10)
    bus.acknowledge("journal", fast)
    slow = bus.consume([STREAM], GROUP, "a", 3)
    bus.acknowledge(GROUP, slow[:1] + slow[2:])
    assert bus.trim(STREAM, "9-0") == 1
    bus.acknowledge(GROUP, slow)
    assert bus.trim(STREAM, "1-3") == 1
    assert bus.trim(STREAM, "9-0") == 1
    assert taken(bus.read(STREAM, "0-0", 10)) == ["1-4", "1-5"]
    assert taken(bus.consume([STREAM], GROUP, "a", 10)) == ["1-4", "1-5"]


def test_a_writer_goes_on_after_its_stream_was_trimmed(world: World, bus: Bus):
    bus.publish(entries(1, 2))
    bus.acknowledge(GROUP, bus.consume([STREAM], GROUP, "a", 10))
    assert world.connect().trim(STREAM, "1-2") == 1
    bus.publish(entries(3))
    assert taken(bus.read(STREAM, "0-0", 10)) == ["1-2", "1-3"]


def test_after_its_end_a_connection_begins_anew_with_what_it_holds(bus: Bus):
    bus.publish(entries(1))
    bus.consume([STREAM], GROUP, "a", 10)
    bus.close()
    assert [(one.entry_id, one.deliveries) for one in bus.consume([STREAM], GROUP, "a", 10)] == [("1-1", 2)]
