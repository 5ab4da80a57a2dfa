# SPDX-License-Identifier: Apache-2.0
"""What is odd about bars is found, and each bar is accepted once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from station.feeds.actions import corporate_action
from station.feeds.intervals import DAY, HOUR, MINUTE, SECOND
from station.feeds.port import ClosedBar
from station.feeds.quality import Gap, Inspector, find_gaps
from station.feeds.reading import micros
from station.feeds.sessions import ALWAYS, Sessions
from station.feeds.watchdog import VendorClock, Watchdog
from station.modes.calendar import Calendar, Hours
from station.modes.markets import market

from tests.unit.services.feeds.feeds_kit import NOON, bar, closes, minute

ORDERS = st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["100", "101"])), max_size=120)


def from_noon(minutes: int) -> Sessions:
    return Sessions(Calendar("noon", ZoneInfo("UTC"), (), {date(2024, 3, 4): Hours(720, 720 + minutes)}))


def kinds(inspector: Inspector, one: ClosedBar) -> list[str]:
    return [finding.kind for finding in inspector.see(one).findings]


@given(st.sets(st.integers(1, 200)), st.integers(0, 200))
def test_gaps_are_exactly_what_was_taken_away(there: set[int], end: int):
    span = (NOON, NOON + end * MINUTE)
    found = find_gaps("X", [NOON + number * MINUTE for number in there], span, MINUTE, ALWAYS)
    missing = [
        number for gap in found for number in range((gap.first - NOON) // MINUTE, (gap.last - NOON) // MINUTE + 1)
    ]
    assert missing == [number for number in range(1, end + 1) if number not in there]
    assert sum(gap.bars for gap in found) == len(missing)


def test_a_weekend_is_no_gap_but_a_lost_hour_on_either_side_is():
    week = Sessions(market("fx"))
    span = (micros("2017-05-19T12:00"), micros("2017-05-22T12:00"))
    expected = list(week.closes(*span, HOUR))
    assert find_gaps("EURUSD", expected, span, HOUR, week) == []
    friday, sunday = micros("2017-05-19T21:00"), micros("2017-05-21T22:00")
    holes = find_gaps("EURUSD", [close for close in expected if close not in {friday, sunday}], span, HOUR, week)
    assert holes == [Gap("EURUSD", friday, sunday, 2)]


@given(ORDERS)
def test_whatever_comes_each_bar_is_accepted_once_with_its_first_values(order: list[tuple[int, str]]):
    inspector = Inspector(MINUTE)
    accepted: list[int] = []
    seen: dict[int, str] = {}
    for number, price in order:
        verdict = inspector.see(minute(number, price))
        if verdict.accepted:
            accepted.append(number)
        repeated = [finding.kind for finding in verdict.findings if finding.kind in {"duplicate", "correction"}]
        assert repeated == ([] if number not in seen else ["duplicate" if seen[number] == price else "correction"])
        seen.setdefault(number, price)
    assert sorted(accepted) == sorted(seen)
    assert inspector.newest("BTC/USD") == (NOON + max(seen) * MINUTE if seen else None)


@given(ORDERS)
def test_findings_tell_gaps_and_late_bars_apart(order: list[tuple[int, str]]):
    inspector, newest = Inspector(MINUTE), 0
    known: set[int] = set()
    for number, price in order:
        verdict = inspector.see(minute(number, price))
        if not verdict.accepted:
            continue
        found = {finding.kind for finding in verdict.findings}
        assert ("late" in found) == bool(known and number < newest)
        assert ("gap" in found) == bool(known and number > newest + 1)
        if verdict.gap:
            assert (verdict.gap.bars, verdict.gap.first) == (number - newest - 1, NOON + (newest + 1) * MINUTE)
        known.add(number)
        newest = max(newest, number)


@given(st.lists(st.integers(1, 100), max_size=200), st.integers(1, 10))
def test_with_a_short_memory_a_bar_is_still_never_accepted_twice(order: list[int], remembered: int):
    inspector = Inspector(MINUTE, remembered=remembered)
    accepted = [number for number in order if inspector.see(minute(number)).accepted]
    assert len(accepted) == len(set(accepted))


def test_what_was_published_before_the_start_is_not_accepted_again():
    inspector = Inspector(MINUTE)
    inspector.start_after("BTC/USD", NOON + 5 * MINUTE)
    assert [inspector.see(minute(number)).accepted for number in (4, 5, 6)] == [False, False, True]
    assert kinds(inspector, minute(3)) == ["old"]
    assert inspector.see(minute(9)).gap == Gap("BTC/USD", NOON + 7 * MINUTE, NOON + 8 * MINUTE, 2)


def test_symbols_are_looked_at_one_by_one():
    inspector = Inspector(MINUTE)
    assert inspector.see(minute(1)).accepted
    assert kinds(inspector, minute(5, symbol="ETH/USD")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"high": Decimal(1)}, "are not between low"),
        ({"low": Decimal(0)}, "is not above zero"),
        ({"volume": Decimal(-1)}, "is below zero"),
    ],
)
def test_what_no_market_prints_is_refused_and_does_not_count_as_seen(change: dict[str, Decimal], words: str):
    inspector, right = Inspector(MINUTE), minute(1)
    verdict = inspector.see(ClosedBar(structs.replace(right.bar, **change), right.closed_at, right.available))
    assert (verdict.accepted, verdict.findings[0].kind) == (False, "impossible")
    assert words in verdict.findings[0].detail
    assert inspector.see(right).accepted


def test_a_bar_that_was_there_before_its_close_is_refused():
    early = bar(NOON + MINUTE, available=NOON + MINUTE - 1)
    assert kinds(Inspector(MINUTE), early) == ["early"]
    assert not Inspector(MINUTE).see(early).accepted


def test_a_bar_between_two_intervals_is_refused():
    assert kinds(Inspector(MINUTE), bar(NOON + MINUTE // 2)) == ["off_grid"]


def test_a_bar_of_a_closed_market_is_accepted_and_noted():
    noon_only = from_noon(10)
    inspector = Inspector(MINUTE, noon_only)
    assert [kinds(inspector, minute(number)) for number in (9, 10, 30)] == [[], [], ["outside"]]


def test_without_a_calendar_nothing_is_missing():
    inspector = Inspector(DAY, sessions=None)
    friday, monday = bar(micros("2024-03-01T21:00"), interval=DAY), bar(micros("2024-03-04T21:00"), interval=DAY)
    assert [kinds(inspector, one) for one in (friday, monday)] == [[], []]


@pytest.mark.parametrize(
    ("before", "after", "paused", "words"),
    [
        # Apple's 4:1 of 2020-08-31, as it traded.
        ("499.23", "127.58", True, "from 499.23 to 127.58: looks like a 4:1 split"),
        ("2000", "101", True, "looks like a 20:1 split"),
        ("90", "61", False, "looks like a 3:2 split"),
        ("4.50", "44.40", True, "looks like a 1:10 reverse split"),
        ("100", "95", True, "5.0% down over a pause: a dividend would look like this"),
        ("100", "95", False, ""),
        ("100", "105", True, ""),
        ("100", "99", True, ""),
    ],
)
def test_jumps_that_are_no_trading_are_named(before: str, after: str, paused: bool, words: str):
    said = corporate_action(Decimal(before), Decimal(after), paused=paused)
    assert words in said if words else said == ""


def test_a_jump_is_noted_and_the_bar_accepted_as_it_was_traded():
    inspector = Inspector(MINUTE)
    inspector.see(minute(1, "400"))
    verdict = inspector.see(minute(2, "100"))
    assert verdict.accepted
    assert [finding.kind for finding in verdict.findings] == ["jump"]


@given(st.integers(0, 300), st.sets(st.integers(1, 300)))
def test_a_symbol_is_overdue_when_its_bar_is_missing_at_its_end_and_grace(passed: int, there: set[int]):
    watchdog = Watchdog(["BTC/USD"], MINUTE, 5 * SECOND, ALWAYS, since=NOON)
    for number in there:
        watchdog.saw("BTC/USD", NOON + number * MINUTE)
    now = NOON + passed * SECOND
    owed = (passed - 5) // 60
    overdue = owed >= 1 and max(there, default=0) < owed
    assert watchdog.stale(now) == ({"BTC/USD": NOON + owed * MINUTE} if overdue else {})


def test_nothing_is_overdue_while_the_market_is_closed():
    hours = from_noon(60)
    watchdog = Watchdog(["AAPL"], MINUTE, 5 * SECOND, hours, since=NOON)
    watchdog.saw("AAPL", NOON + HOUR)
    assert watchdog.stale(NOON + 20 * HOUR) == {}


def test_one_symbol_may_be_silent_while_others_are_not():
    watchdog = Watchdog(["AAPL", "MSFT"], MINUTE, 0, ALWAYS, since=NOON)
    watchdog.saw("AAPL", NOON + 2 * MINUTE)
    assert watchdog.stale(NOON + 2 * MINUTE) == {"MSFT": NOON + 2 * MINUTE}


def test_a_clock_that_is_ahead_is_told_once_until_it_is_right_again():
    clock = VendorClock(5 * SECOND)
    ahead = [bool(clock.see("X", NOON + offset * SECOND, NOON)) for offset in (0, 5, 6, 9, 4, 6)]
    assert ahead == [False, False, True, False, False, True]


def test_the_kit_counts_minutes():
    assert closes([minute(1), minute(3)]) == [1, 3]
