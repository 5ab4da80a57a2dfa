"""The real bars as they stand in the package, stamped at their close, each with one id for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UserError
from fleet.lab import bars
from fleet.lab.bars import Bar, digest, real_bars
from fleet.lab.sample_data import require_equal

REAL = real_bars()
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
BARS = st.builds(
    Bar,
    ts=st.integers(0, 2**60),
    sym=st.sampled_from(["EURUSD", "GOOG"]),
    timeframe=st.sampled_from(["1h", "1d"]),
    o=NUMBERS,
    h=NUMBERS,
    l=NUMBERS,
    c=NUMBERS,
    v=NUMBERS,
    exchange=st.sampled_from(["FX", "NASDAQ"]),
    data_source=st.just("backtesting"),
    available_at=st.integers(0, 2**60),
)


def named(sym: str) -> list[Bar]:
    return [bar for bar in REAL if bar.sym == sym]


def closed(bar: Bar) -> str:
    return datetime.fromtimestamp(bar.ts / 1_000_000, UTC).isoformat()


def test_all_bars_of_both_files_are_there():
    assert (len(named("EURUSD")), len(named("GOOG")), len(REAL)) == (5000, 2148, 7148)


def test_an_hourly_bar_is_stamped_an_hour_after_its_open():
    first = named("EURUSD")[0]
    assert closed(first) == "2017-04-19T10:00:00+00:00"
    assert (first.o, first.h, first.l, first.c, first.v) == (1.0716, 1.0722, 1.07083, 1.07219, 1413.0)


def test_a_daily_bar_is_stamped_when_new_york_closes_in_summer_and_in_winter():
    days = [closed(bar) for bar in named("GOOG")]
    assert (days[0], days[-1]) == ("2004-08-19T20:00:00+00:00", "2013-03-01T21:00:00+00:00")


def test_no_bar_could_be_known_before_it_closed():
    assert all(bar.available_at >= bar.ts for bar in REAL)


def test_high_and_low_enclose_open_and_close():
    assert all(bar.l <= min(bar.o, bar.c) <= max(bar.o, bar.c) <= bar.h for bar in REAL)


def test_ids_rise_and_none_comes_twice():
    ids = [bar.stream_id for bar in REAL]
    assert all(one < two for one, two in pairwise(ids))


@given(BARS)
def test_a_bar_is_the_same_after_its_way_through_text(bar: Bar):
    assert Bar.of(bar.to_fields()) == bar


@given(BARS, NUMBERS)
def test_a_corrected_bar_keeps_its_id_and_changes_the_checksum(bar: Bar, price: float):
    corrected = replace(bar, c=price)
    assert corrected.stream_id == bar.stream_id
    assert (digest([corrected]) == digest([bar])) == (str(price) == str(bar.c))


@given(st.lists(BARS, max_size=8), st.randoms())
def test_the_checksum_does_not_depend_on_the_order(found: list[Bar], random):
    shuffled = random.sample(found, len(found))
    assert digest(shuffled) == digest(found)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (REAL[:3], r"^ohlcv: 3 bars .* the source has 4 .*; missing Bar\(ts=.*sym='GOOG'"),
        ([*REAL[:3], replace(REAL[3], v=0.0)], "; missing Bar"),
        ([*REAL[:4], REAL[4]], "; not in the source or twice Bar"),
        ([*REAL[:4], REAL[3]], "; not in the source or twice Bar"),
    ],
    ids=["missing", "changed", "surplus", "twice"],
)
def test_a_difference_is_named(found: list[Bar], words: str):
    require_equal("ohlcv", REAL[:4], list(reversed(REAL[:4])))
    with pytest.raises(UserError, match=words):
        require_equal("ohlcv", REAL[:4], found)


def test_without_the_package_the_user_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bars, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="`backtesting` with the sample data is missing: run `make setup`"):
        real_bars()
