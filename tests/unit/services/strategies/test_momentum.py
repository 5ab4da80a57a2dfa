# SPDX-License-Identifier: Apache-2.0
"""What the momentum strategy says after which bars."""

from __future__ import annotations

from decimal import Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station.domain.market import Bar
from station.domain.operation import Health
from station.domain.trading import Signal
from station.events import HealthEvent, MarketEvent
from station.strategies.momentum import Momentum, average

HOUR = 3_600_000_000
PRICES = st.lists(st.integers(1, 10**6).map(lambda cents: Decimal(cents) / 100), min_size=1, max_size=60)


def bar(close: Decimal, symbol: str = "EURUSD") -> Bar:
    return Bar(
        symbol=symbol, interval=HOUR, open=close, high=close, low=close, close=close, volume=Decimal(0), source="test"
    )


def market(number: int, close: Decimal, symbol: str = "EURUSD") -> MarketEvent:
    return MarketEvent(
        agent_id="replay",
        run=1,
        sequence=number,
        timestamp=number * HOUR,
        available=number * HOUR,
        payload=bar(close, symbol),
    )


def momentum(fast: int = 3, slow: int = 7, band: str = "0") -> Momentum:
    return Momentum(["EURUSD"], fast=fast, slow=slow, band=Decimal(band))


def said(strategy: Momentum, closes: list[Decimal]) -> list[tuple[int, Signal]]:
    """Return which signals follow from closes, each with the number of its bar."""
    return [
        (number, signal)
        for number, close in enumerate(closes, start=1)
        for signal in strategy.on_event(market(number, close))
        if isinstance(signal, Signal)
    ]


@pytest.mark.parametrize(("fast", "slow"), [(12, 26), (3, 7), (1, 2)])
def test_on_a_steady_climb_the_averages_lie_half_their_lengths_apart(fast: int, slow: int) -> None:
    # An exponential average of n bars trails a line of slope 1 by (1 - alpha) / alpha = (n - 1) / 2.
    quick = steady = Decimal(1000)
    for step in range(1000, 3000):
        quick, steady = average(quick, Decimal(step), fast), average(steady, Decimal(step), slow)
    assert quick - steady == pytest.approx(Decimal(slow - fast) / 2)


def test_golden_values_of_the_average() -> None:
    # alpha = 2 / (3 + 1): halves of what is new, by hand.
    assert average(Decimal(10), Decimal(12), 3) == Decimal(11)
    assert average(Decimal(11), Decimal(8), 3) == Decimal("9.5")


def test_a_climb_is_long_from_the_first_warm_bar_on_and_said_once() -> None:
    signals = said(momentum(), [Decimal(100 + step) for step in range(40)])
    assert signals == [(21, Signal(symbol="EURUSD", strength=Decimal(1), horizon=7 * HOUR))]


def test_a_turn_of_the_market_turns_the_signal() -> None:
    up = [Decimal(100 + step) for step in range(30)]
    down = [Decimal(130 - step) for step in range(30)]
    strengths = [signal.strength for _, signal in said(momentum(), up + down)]
    assert strengths == [1, -1]


def test_a_market_that_stands_still_is_flat() -> None:
    assert [signal.strength for _, signal in said(momentum(), [Decimal("1.1")] * 40)] == [0]


def test_a_difference_within_the_band_is_flat() -> None:
    closes = [Decimal(1000) + step for step in range(60)]
    # The averages end 2 apart (see above), which is less than 1 % of 1,000.
    assert [signal.strength for _, signal in said(momentum(band="0.01"), closes)] == [0]
    assert [signal.strength for _, signal in said(momentum(band="0.001"), closes)] == [1]


def test_bars_of_other_symbols_and_other_events_are_passed_over() -> None:
    strategy = momentum()
    health = HealthEvent(agent_id="replay", run=1, sequence=1, timestamp=1, available=1, payload=Health(state="ready"))
    assert strategy.on_event(health) == ()
    assert strategy.on_event(market(1, Decimal(5), symbol="GBPUSD")) == ()
    assert strategy.missing() == {"EURUSD": 21}


def test_each_symbol_has_averages_and_a_warm_up_of_its_own() -> None:
    strategy = Momentum(["EURUSD", "GBPUSD"], fast=3, slow=7, band=Decimal(0))
    for number in range(1, 31):
        strategy.on_event(market(number, Decimal(100 + number)))
    for number in range(21, 31):
        strategy.on_event(market(number, Decimal(100 - number), symbol="GBPUSD"))
    assert strategy.missing() == {"GBPUSD": 11}


def test_an_event_delivered_twice_gets_the_same_answer_and_counts_once() -> None:
    strategy, twin = momentum(), momentum()
    closes = [Decimal(100 + step) for step in range(40)]
    for number, close in enumerate(closes, start=1):
        event = market(number, close)
        assert strategy.on_event(event) == strategy.on_event(event) == twin.on_event(event)


def test_a_bar_that_comes_late_changes_nothing() -> None:
    strategy = momentum()
    said(strategy, [Decimal(100 + step) for step in range(10)])
    assert strategy.on_event(market(4, Decimal(1))) == ()
    assert strategy.missing() == {"EURUSD": 11}


@given(PRICES, st.integers(1, 1000))
def test_the_currency_of_a_price_does_not_matter(closes: list[Decimal], factor: int) -> None:
    # A power of ten shifts decimals exactly: nothing is rounded another way.
    shifted = [close.scaleb(factor % 7) for close in closes]
    assert said(momentum(band="0.001"), closes) == said(momentum(band="0.001"), shifted)


@given(PRICES, st.integers(1, 20), st.integers(1, 20))
def test_nothing_is_said_before_it_is_warm_and_nothing_twice(closes: list[Decimal], fast: int, more: int) -> None:
    strategy = momentum(fast=fast, slow=fast + more)
    signals = said(strategy, closes)
    strengths = [signal.strength for _, signal in signals]
    assert all(number >= strategy.warm_up for number, _ in signals)
    assert all(one != other for one, other in pairwise(strengths))
    assert bool(signals) == (len(closes) >= strategy.warm_up)


@given(PRICES)
def test_a_caller_who_rounds_otherwise_gets_the_same_signals(closes: list[Decimal]) -> None:
    with localcontext(prec=3):
        rough = said(momentum(fast=1, slow=2), closes)
    assert rough == said(momentum(fast=1, slow=2), closes)
