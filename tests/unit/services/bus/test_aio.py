# SPDX-License-Identifier: Apache-2.0
"""The bus inside an event loop: nothing blocks it, and a cancelled reader loses nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from station.bus.aio import AsyncBus, Thread
from station.bus.memory import MemoryBus, Streams
from station.bus.port import Entry
from station.errors import Conflict

STREAM, GROUP = "md:replay", "momentum"


def entry(sequence: int) -> Entry:
    return Entry(STREAM, f"1-{sequence}", b"1")


@asynccontextmanager
async def connected(streams: Streams) -> AsyncIterator[AsyncBus]:
    bus = AsyncBus(MemoryBus(streams))
    yield bus
    await bus.close()


def test_it_does_what_the_blocking_one_does():
    streams = Streams()

    async def main() -> None:
        async with connected(streams) as bus:
            await bus.publish([entry(1), entry(2)])
            first, second = await bus.consume([STREAM], GROUP, "a", 10)
            await bus.acknowledge(GROUP, [first])
            await bus.dead_letter(GROUP, second, "no")
            with pytest.raises(Conflict):
                await bus.publish([Entry(STREAM, "1-1", b"2")])

    asyncio.run(main())
    blocking = MemoryBus(streams)
    assert [state.pending for state in blocking.groups(STREAM)] == [0]
    assert [letter.reason for letter in blocking.dead_letters(GROUP)] == ["no"]


def test_waiting_for_an_entry_blocks_nobody_else():
    streams = Streams()

    async def main() -> list[Entry]:
        async with connected(streams) as reader, connected(streams) as writer:
            await reader.consume([STREAM], GROUP, "a", 10)
            waiting = asyncio.create_task(reader.consume([STREAM], GROUP, "a", 10, wait_ms=20_000))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await writer.publish([entry(1)])
            return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(main()) == [entry(1)]


def test_what_came_while_the_reader_was_cancelled_is_given_to_the_next_one():
    streams = Streams()

    async def main() -> list[Entry]:
        async with connected(streams) as reader, connected(streams) as writer:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.consume([STREAM], GROUP, "a", 10, wait_ms=20_000), 0.05)
            await writer.publish([entry(1)])
            return await asyncio.wait_for(reader.consume([STREAM], GROUP, "a", 10), 10)

    assert asyncio.run(main()) == [entry(1)]


def test_an_error_while_the_reader_was_cancelled_is_told_to_the_next_one_and_then_forgotten():
    class Broken(MemoryBus):
        broken = True

        def consume(self, *_: object) -> list[Entry]:
            release.wait(10)
            if self.broken:
                self.broken = False
                raise Conflict("once")
            return []

    release = threading.Event()

    async def main() -> None:
        bus = AsyncBus(Broken())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bus.consume([STREAM], GROUP, "a", 10), 0.05)
        release.set()
        with pytest.raises(Conflict):
            await bus.consume([STREAM], GROUP, "a", 10)
        assert await bus.consume([STREAM], GROUP, "a", 10) == []
        await bus.close()

    asyncio.run(main())


def test_all_calls_are_made_in_one_thread_in_the_order_in_which_they_were_put_in_line():
    calls: list[tuple[int, int]] = []

    def note(number: int) -> None:
        calls.append((number, threading.get_ident()))

    async def main() -> None:
        thread = Thread()
        await asyncio.gather(*(thread.call(note, number) for number in range(20)))
        await thread.close()

    asyncio.run(main())
    assert [number for number, _ in calls] == list(range(20))
    threads = {thread for _, thread in calls}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_call_in_line_is_made_though_its_caller_was_cancelled():
    release = threading.Event()
    published: list[int] = []

    async def main() -> None:
        thread = Thread()
        first = asyncio.create_task(thread.call(release.wait, 10))
        second = asyncio.create_task(thread.call(published.append, 1))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0)
        release.set()
        await first
        await thread.close()

    asyncio.run(main())
    assert published == [1]
