# SPDX-License-Identifier: Apache-2.0
"""What a strategy is: events in, payloads out, no clock and no I/O, so that a replay says what the market heard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from station.domain.market import Bar
from station.domain.trading import Order, RiskAlert, Signal
from station.events import Event, MarketEvent

Payload = Signal | RiskAlert | Order


class Strategy(Protocol):
    """What an agent service runs."""

    @property
    def warm_up(self) -> int:
        """How many bars of a symbol it has to see before it says anything about it."""

    def on_event(self, event: Event) -> Sequence[Payload]:
        """Take an event in and return what follows from it. The same event again gives the same answer."""

    def unsaid(self, payloads: Sequence[Payload]) -> None:
        """Take note that an answer came too late and nobody got it: what still holds is to be said again."""

    def missing(self) -> dict[str, int]:
        """Return how many bars each symbol still lacks; nothing once all are warm."""


@dataclass(slots=True)
class _Seen:
    """What is known of one symbol."""

    bars: int = 0
    timestamp: int = 0
    event_id: str = ""
    strength: Decimal | None = None  # what was said last
    answer: tuple[Signal, ...] = ()


class BarStrategy(ABC):
    """A strategy that has an opinion after each bar. It speaks when warm, and then only when its opinion changed."""

    def __init__(self, symbols: Collection[str]) -> None:
        self._seen = {symbol: _Seen() for symbol in symbols}

    @property
    @abstractmethod
    def warm_up(self) -> int:
        """How many bars of a symbol it has to see before it says anything about it."""

    @abstractmethod
    def opinion(self, bar: Bar) -> Signal:
        """Return what to hold after one more bar of a symbol."""

    def unsaid(self, payloads: Sequence[Payload]) -> None:
        """Say it with the next bar, if it still holds."""
        for payload in payloads:
            if isinstance(payload, Signal):
                seen = self._seen[payload.symbol]
                seen.strength, seen.answer = None, ()

    def missing(self) -> dict[str, int]:
        """Return how many bars each symbol still lacks; nothing once all are warm."""
        lacking = {symbol: self.warm_up - seen.bars for symbol, seen in self._seen.items()}
        return {symbol: bars for symbol, bars in lacking.items() if bars > 0}

    def on_event(self, event: Event) -> Sequence[Payload]:
        """Return the new signal, if there is one. A bar not newer than the last one of its symbol is no news."""
        if not isinstance(event, MarketEvent):
            return ()
        seen = self._seen.get(event.payload.symbol)
        if seen is None:
            return ()
        if event.event_id == seen.event_id:
            return seen.answer  # delivered once more
        if event.timestamp <= seen.timestamp:
            return ()
        signal = self.opinion(event.payload)
        seen.bars, seen.timestamp, seen.event_id = seen.bars + 1, event.timestamp, event.event_id
        news = seen.bars >= self.warm_up and signal.strength != seen.strength
        seen.answer = (signal,) if news else ()
        if news:
            seen.strength = signal.strength
        return seen.answer
