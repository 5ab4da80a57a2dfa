# SPDX-License-Identifier: Apache-2.0
"""Numbers and times out of other people's data."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from station import codec
from station.clock import of_datetime
from station.feeds import intervals, reading

FIRST, LAST = datetime(1970, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
PRICES = st.decimals(min_value=0, max_value=10**12, places=8)


@given(PRICES)
def test_a_number_stays_as_it_was_written(price: Decimal):
    assert reading.decimal(str(price)) == price
    assert reading.parse_json(f"[{price:f}]") == [price]


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-20, max_value=1e30))
def test_a_float_becomes_the_shortest_text_that_means_it(number: float):
    assert float(reading.decimal(number)) == number
    assert reading.decimal(0.1) == Decimal("0.1")


@pytest.mark.parametrize(
    "value", ["", "abc", "NaN", "inf", None, True, [], float("nan"), "1e999999", "0e-999999", "0." + "1" * 99]
)
def test_what_is_no_price_is_refused(value: object):
    with pytest.raises(ValueError, match="no"):
        reading.decimal(value)


def test_an_accepted_number_has_canonical_bytes_of_bearable_length():
    for text in ("1e40", "1e-40", "0e40", "0e-40", "123456789012345678901234567890.123", 10**40):
        assert len(codec.canonical(reading.decimal(text))) < 100


@pytest.mark.parametrize("text", ["[NaN]", "[Infinity]", "{", "", "<html>", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - each says it in its own words
        reading.parse_json(text)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("1970-01-01T00:00:01Z", None, 1_000_000),
        ("1970-01-01 00:00:01", None, 1_000_000),
        ("1970-01-01T01:00:00+01:00", None, 0),
        # Of Tiingo's and Kraken's documentation: nanoseconds.
        ("2019-01-30T13:33:45.594808294-05:00", None, 1548873225594808),
        ("2026-10-06T18:06:00.000000000Z", None, 1_791_309_960_000_000),
        (1548873225594808294, "ns", 1548873225594808),
        (1499040000000, "ms", 1499040000000000),
        ("1499040000", "s", 1499040000000000),
    ],
)
def test_times_of_all_spellings(value: object, unit: str | None, expected: int):
    assert reading.micros(value, unit=unit) == expected


def test_a_time_without_a_zone_is_in_the_zone_of_its_source():
    new_york = ZoneInfo("America/New_York")
    summer = reading.micros("2024-07-01T16:00:00", new_york)
    winter = reading.micros("2024-01-02T16:00:00", new_york)
    assert (reading.text(summer), reading.text(winter)) == ("2024-07-01T20:00:00Z", "2024-01-02T21:00:00Z")


@given(st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.just(UTC)))
def test_a_time_is_the_same_after_its_way_through_text(moment: datetime):
    assert reading.micros(reading.text(of_datetime(moment))) == of_datetime(moment)


@pytest.mark.parametrize("value", ["yesterday", "", "2024-02-30", None, 5])
def test_what_is_no_time_is_refused(value: object):
    with pytest.raises(ValueError):  # noqa: PT011 - each says it in its own words
        reading.micros(value)


@pytest.mark.parametrize("text", ["1s", "5m", "90m", "1h", "1d", "7d"])
def test_an_interval_is_read_and_named(text: str):
    length = intervals.parse(text)
    assert intervals.parse(intervals.name(length)) == length


@pytest.mark.parametrize("text", ["", "0m", "5", "m", "5 m", "-5m", "1w", "1.5h"])
def test_what_is_no_interval_is_refused_with_an_example(text: str):
    with pytest.raises(Exception, match="is no interval: write a number and s, m, h or d, for example 5m"):
        intervals.parse(text)


@given(st.integers(0, 10**16), st.sampled_from([intervals.MINUTE, intervals.HOUR, intervals.DAY]))
def test_each_moment_lies_in_the_bar_that_ends_after_it(moment: int, interval: int):
    close = intervals.grid_close(moment, interval)
    assert close - interval <= moment < close
    assert close % interval == 0
