# SPDX-License-Identifier: Apache-2.0
"""The bus for asyncio: the blocking connection in a thread of its own, so that both sides stay what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from station.bus.port import Bus, Entry

P = ParamSpec("P")
T = TypeVar("T")


class Thread:
    """A thread that makes blocking calls one after the other, for whatever must not be shared between threads."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a call returns. Once in line it is made, also when its caller is cancelled."""
        return await asyncio.shield(self.begin(function, *args, **kwargs))

    def begin(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Put a call in line and return its future."""
        future = self._executor.submit(function, *args, **kwargs)
        return asyncio.wrap_future(future)

    async def close(self) -> None:
        """Wait for the calls in line, and end the thread."""
        await asyncio.to_thread(self._executor.shutdown)


class AsyncBus:
    """A connection to the bus for one event loop."""

    def __init__(self, bus: Bus) -> None:
        """Take over a connection, which nobody else uses from now on."""
        self._bus = bus
        self._thread = Thread()
        self._taking: asyncio.Future[list[Entry]] | None = None

    async def publish(self, entries: Sequence[Entry], acknowledge: Sequence[Entry] = (), group: str = "") -> None:
        """Do as `Bus.publish`."""
        await self._thread.call(self._bus.publish, entries, acknowledge, group)

    async def consume(
        self, streams: Sequence[str], group: str, consumer: str, count: int, wait_ms: int = 0
    ) -> list[Entry]:
        """Do as `Bus.consume`. What was taken while the caller was cancelled is what the next call returns."""
        begun, self._taking = self._taking, None
        taking = begun or self._thread.begin(self._bus.consume, streams, group, consumer, count, wait_ms)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._taking = taking
            raise

    async def acknowledge(self, group: str, entries: Sequence[Entry]) -> None:
        """Do as `Bus.acknowledge`."""
        await self._thread.call(self._bus.acknowledge, group, entries)

    async def dead_letter(self, group: str, entry: Entry, reason: str) -> None:
        """Do as `Bus.dead_letter`."""
        await self._thread.call(self._bus.dead_letter, group, entry, reason)

    async def close(self) -> None:
        """End the connection."""
        await self._thread.call(self._bus.close)
        await self._thread.close()
