# SPDX-License-Identifier: Apache-2.0
"""What the commands about data do and say."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from station.errors import Unavailable
from station.feeds.data import LARGEST_BACKLOG, BusSink, backfill, check, gaps, load
from station.feeds.intervals import MINUTE
from station.feeds.port import ClosedBar
from station.feeds.quality import Inspector
from station.feeds.sessions import ALWAYS

from tests.unit.services.feeds.feeds_kit import NOON, ManualClock, Script, Shelf, closes, minute

SPAN = (NOON, NOON + 20 * MINUTE)


class Box:
    def __init__(self) -> None:
        self.bars: list[ClosedBar] = []

    def write(self, bars: Sequence[ClosedBar]) -> None:
        self.bars += bars


def test_loading_twice_writes_once():
    box, inspector = Box(), Inspector(MINUTE)
    bars = [minute(number) for number in (1, 2, 3)]
    first, second = load(bars, box, inspector), load(bars, box, inspector)
    assert (first.bars, second.bars, closes(box.bars)) == (3, 0, [1, 2, 3])
    assert second.findings == {("BTC/USD", "duplicate"): 3}


def test_a_check_prints_what_there_is_and_what_is_odd():
    report = check([minute(1), minute(2), minute(5), minute(5, "7"), minute(3)], MINUTE, ALWAYS)
    assert str(report).splitlines() == [
        "symbol   bars  first close           last close",
        "BTC/USD     4  2024-03-04T12:01:00Z  2024-03-04T12:05:00Z",
        "",
        "symbol   finding     times",
        "BTC/USD  correction      1",
        "BTC/USD  gap             1",
        "BTC/USD  late            1",
        "",
        "symbol   finding     close                 detail",
        "BTC/USD  gap         2024-03-04T12:05:00Z  2 missing from 2024-03-04T12:03:00Z to 2024-03-04T12:04:00Z",
        "BTC/USD  correction  2024-03-04T12:05:00Z  "
        "was 100/100/100/100 volume 1, is now 7/7/7/7 volume 1; the first stands",
        "BTC/USD  late        2024-03-04T12:03:00Z  came after the bar of 2024-03-04T12:05:00Z",
    ]
    assert not report.clean


def test_a_long_list_of_findings_is_cut_and_says_so():
    report = check([minute(1)] * 31, MINUTE, ALWAYS)
    assert len(report.examples) == 20
    assert str(report).endswith("... 10 more")


def test_nothing_is_said_of_nothing():
    assert str(check([], MINUTE, ALWAYS)) == "no bars"
    assert str(gaps({"BTC/USD": range(*SPAN, MINUTE)}, (NOON, NOON), MINUTE, ALWAYS)) == "no gaps"


def test_gaps_print_as_a_table():
    found = gaps({"BTC/USD": [NOON + MINUTE]}, (NOON, NOON + 3 * MINUTE), MINUTE, ALWAYS)
    assert str(found).splitlines() == [
        "symbol   missing  first close           last close",
        "BTC/USD        2  2024-03-04T12:02:00Z  2024-03-04T12:03:00Z",
    ]


@given(st.sets(st.integers(1, 20)), st.sets(st.integers(1, 20)))
def test_backfilling_twice_writes_what_history_has_once(there: set[int], past: set[int]):
    feed, box = Script(ManualClock()), Box()
    feed.past = [minute(number) for number in sorted(past)]
    known = {NOON + number * MINUTE for number in there}
    for _ in range(2):
        missing = gaps({"BTC/USD": known}, SPAN, MINUTE, ALWAYS)
        report = backfill(feed, missing.gaps, box, ALWAYS)
        known |= {bar.closed_at for bar in box.bars}
        assert report.left == 20 - len(there | past)
    assert sorted(closes(box.bars)) == sorted(past - there)


def test_a_history_that_repeats_itself_or_prints_nonsense_is_not_believed():
    feed, box = Script(ManualClock()), Box()
    feed.past = [minute(1), minute(1), minute(2, "0"), minute(9)]
    missing = gaps({"BTC/USD": []}, (NOON, NOON + 3 * MINUTE), MINUTE, ALWAYS)
    report = backfill(feed, missing.gaps, box, ALWAYS)
    assert (closes(box.bars), report.bars, report.left) == ([1], 1, 2)


def test_a_vendor_that_stops_answering_leaves_a_report_of_what_was_done():
    feed, box = Script(ManualClock()), Box()
    feed.past = [minute(1)]
    missing = gaps({"BTC/USD": [NOON + 2 * MINUTE]}, (NOON, NOON + 3 * MINUTE), MINUTE, ALWAYS).gaps

    class Tired(Script):
        def history(self, symbol: str, start: int, end: int):
            self.past = Unavailable("503") if self.asked else [minute(1)]
            return super().history(symbol, start, end)

    report = backfill(Tired(ManualClock()), missing, box, ALWAYS)
    assert (report.bars, report.left, report.stopped) == (1, 1, "503")
    assert str(report).splitlines() == [
        "symbol   first close           last close            missing  added  left",
        "BTC/USD  2024-03-04T12:01:00Z  2024-03-04T12:01:00Z        1      1     0",
        "BTC/USD  2024-03-04T12:03:00Z  2024-03-04T12:03:00Z        1      0     1",
        "",
        "stopped: 503",
        "run it again to go on",
    ]


def test_onto_the_bus_bars_go_as_events_and_wait_for_slow_readers():
    clock, shelf = ManualClock(), Shelf()
    shelf.behind = LARGEST_BACKLOG + 1
    sleep = clock.sleep

    def sleep_and_catch_up(seconds: float) -> None:
        sleep(seconds)
        shelf.behind -= 1

    clock.sleep = sleep_and_catch_up  # type: ignore[method-assign]
    load([minute(1), minute(2)], BusSink(shelf, clock), Inspector(MINUTE))
    assert (shelf.minutes, len(clock.slept)) == ([1, 2], 1)
