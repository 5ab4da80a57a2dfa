# SPDX-License-Identifier: Apache-2.0
"""Bars in the making: whole, once, and never before their close."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from station.feeds.candles import Candles, Trade
from station.feeds.intervals import MINUTE, SECOND

from tests.unit.services.feeds.feeds_kit import NOON, closes, minute

GRACE = 2 * SECOND
TRADES = st.lists(st.tuples(st.integers(0, 600), st.integers(1, 1000), st.integers(1, 9)), min_size=1, max_size=80)


def trade(second: int, price: int, size: int = 1, symbol: str = "BTC/USD") -> Trade:
    return Trade(symbol, NOON + second * SECOND, Decimal(price), Decimal(size))


def candles() -> Candles:
    made = Candles(MINUTE, GRACE, "test")
    made.begin(NOON)
    return made


def test_trades_become_open_high_low_close_and_volume():
    made = candles()
    for second, price in ((1, 10), (2, 14), (3, 8), (59, 11)):
        made.trade(trade(second, price, 2))
    (found,) = made.closed(NOON + MINUTE + GRACE)
    one = found.bar
    assert [one.open, one.high, one.low, one.close, one.volume] == [10, 14, 8, 11, 8]
    assert (found.closed_at, found.available) == (NOON + MINUTE, NOON + MINUTE + GRACE)


@given(st.lists(st.integers(0, 59), min_size=1, max_size=20, unique=True), st.randoms(use_true_random=False))
def test_the_order_in_which_trades_arrive_makes_no_difference(seconds: list[int], random: Random):
    trades = [trade(second, 100 + second % 7, second + 1) for second in sorted(seconds)]
    made, shuffled = candles(), candles()
    for one in trades:
        made.trade(one)
    for one in random.sample(trades, len(trades)):
        shuffled.trade(one)
    assert made.closed(NOON + 2 * MINUTE) == shuffled.closed(NOON + 2 * MINUTE)


def test_a_trade_at_the_full_minute_belongs_to_the_next_bar():
    made = candles()
    made.trade(trade(59, 10))
    made.trade(trade(60, 20))
    assert [one.bar.close for one in made.closed(NOON + 5 * MINUTE)] == [10, 20]


@given(TRADES)
def test_no_trade_is_lost_or_counted_twice(given_trades: list[tuple[int, int, int]]):
    made, found = candles(), []
    for second, price, size in sorted(given_trades):
        made.trade(trade(second, price, size))
        found += made.closed(NOON + second * SECOND)
    found += made.closed(NOON + 3600 * SECOND)
    assert sum(one.bar.volume for one in found) == sum(size for _, _, size in given_trades)
    assert [one.closed_at for one in found] == sorted(
        {(NOON + s * SECOND) // MINUTE * MINUTE + MINUTE for s, _, _ in given_trades}
    )
    assert all(not one.bar.problems() for one in found)
    assert all(one.available >= one.closed_at for one in found)


@given(st.permutations(range(1, 8)), st.integers(-300, 300))
def test_running_candles_in_any_order_come_out_once_in_order_and_not_before_their_close(order: list[int], ahead: int):
    made, found = candles(), []
    for step, number in enumerate(order):
        made.candle(minute(number).bar, NOON + number * MINUTE, final=False)
        found += made.closed(NOON + (step * 60 + ahead) * SECOND)
    found += made.closed(NOON + 3600 * SECOND)
    assert [one.closed_at for one in found] == sorted({one.closed_at for one in found})
    assert all(one.available >= one.closed_at for one in found)


@given(st.lists(st.integers(1, 8), max_size=12), st.integers(-300, 300))
def test_no_candle_that_the_vendor_closed_is_lost(order: list[int], ahead: int):
    made, found = candles(), []
    for step, number in enumerate(order):
        made.candle(minute(number).bar, NOON + number * MINUTE, final=True)
        found += made.closed(NOON + (step * 60 + ahead) * SECOND)
    found += made.closed(NOON + 3600 * SECOND)
    assert set(closes(found)) == set(order)
    assert all(one.available >= one.closed_at for one in found)


def test_a_bar_that_began_before_the_connection_is_not_seen_whole():
    made = Candles(MINUTE, GRACE, "test")
    made.begin(NOON + 30 * SECOND)
    assert made.trade(trade(45, 10))
    assert made.trade(trade(61, 11))
    assert [one.bar.open for one in made.closed(NOON + 10 * MINUTE)] == [11]


def test_what_was_in_the_making_when_the_connection_broke_is_forgotten():
    made = candles()
    made.trade(trade(1, 10))
    made.begin(NOON + 10 * SECOND)
    assert made.closed(NOON + 10 * MINUTE) == []
    assert made.next_due() is None


def test_a_trade_after_its_bar_was_given_out_is_refused():
    made = candles()
    made.trade(trade(1, 10))
    made.closed(NOON + MINUTE + GRACE)
    assert not made.trade(trade(59, 99))
    assert made.closed(NOON + 10 * MINUTE) == []


def test_the_vendors_candle_is_replaced_until_it_is_final():
    made = candles()
    for price in ("1", "2", "3"):
        assert made.candle(minute(1, price).bar, NOON + MINUTE, final=False)
    assert made.next_due() == NOON + MINUTE + GRACE
    made.candle(minute(1, "4").bar, NOON + MINUTE, final=True)
    assert made.next_due() == NOON + MINUTE
    assert [one.bar.close for one in made.closed(NOON + MINUTE)] == [4]
    assert not made.candle(minute(1, "5").bar, NOON + MINUTE, final=False)


def test_a_candle_has_closed_when_the_next_one_begins():
    made = candles()
    made.candle(minute(1).bar, NOON + MINUTE, final=False)
    assert made.closed(NOON + MINUTE) == []
    made.candle(minute(2).bar, NOON + 2 * MINUTE, final=False)
    assert [one.closed_at for one in made.closed(NOON + MINUTE)] == [NOON + MINUTE]


def test_a_candle_that_the_vendor_closes_too_early_waits_for_our_clock():
    made = candles()
    made.candle(minute(1).bar, NOON + MINUTE, final=True)
    assert made.closed(NOON + MINUTE - 1) == []
    assert len(made.closed(NOON + MINUTE)) == 1
