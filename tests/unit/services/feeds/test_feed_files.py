# SPDX-License-Identifier: Apache-2.0
"""Bars in files: the same bars from CSV and Parquet, stamped at their close, or one line that says what is wrong."""

from __future__ import annotations

import csv
from datetime import time
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from station.errors import StationError
from station.feeds.data import check
from station.feeds.files import Layout, read
from station.feeds.intervals import DAY, HOUR, MINUTE
from station.feeds.port import ClosedBar
from station.feeds.reading import micros, text
from station.feeds.sessions import Sessions
from station.modes.markets import market

COLUMNS = ("Open", "High", "Low", "Close", "Volume")
EURUSD = Layout(HOUR, "backtesting", "open", symbol="EURUSD", time="", columns=COLUMNS)
GOOG = Layout(
    DAY,
    "backtesting",
    "open",
    symbol="GOOG",
    time="",
    columns=COLUMNS,
    zone=ZoneInfo("America/New_York"),
    day_closes=time(16),
)
PLAIN = Layout(MINUTE, "test", "close")
HEADER = "time,symbol,open,high,low,close,volume\n"
ROW = "2024-03-04T12:01:00Z,BTC/USD,1.10,1.20,1.00,1.15,7\n"


def sample(name: str) -> Path:
    package = find_spec("backtesting")  # found, not imported: that would load its plotting library
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "test" / name


def csv_file(folder: Path, content: str) -> Path:
    path = folder / "bars.csv"
    path.write_text(content)
    return path


def numbers(one: ClosedBar) -> tuple[float, ...]:
    return tuple(map(float, (one.bar.open, one.bar.high, one.bar.low, one.bar.close, one.bar.volume)))


def test_every_line_of_the_real_files_is_a_bar_with_the_line_s_numbers():
    for name, layout, number in (("EURUSD.csv", EURUSD, 5000), ("GOOG.csv", GOOG, 2148)):
        with sample(name).open(newline="") as stream:
            lines = [tuple(float(line[column]) for column in COLUMNS) for line in csv.DictReader(stream)]
        assert [numbers(bar) for bar in read(sample(name), layout)] == lines
        assert len(lines) == number


def test_a_daily_bar_is_stamped_when_new_york_closes_in_summer_and_in_winter():
    days = [text(bar.close) for bar in read(sample("GOOG.csv"), GOOG)]
    assert (days[0], days[-1]) == ("2004-08-19T20:00:00Z", "2013-03-01T21:00:00Z")


def test_the_real_hourly_bars_are_stamped_an_hour_after_their_open_and_exact():
    first = next(read(sample("EURUSD.csv"), EURUSD))
    assert (text(first.close), first.available) == ("2017-04-19T10:00:00Z", first.close)
    assert [first.bar.open, first.bar.low, first.bar.volume] == [Decimal("1.0716"), Decimal("1.07083"), 1413]


def test_the_real_bars_are_possible_and_their_holes_are_weekends_and_holidays():
    seen = check(read(sample("EURUSD.csv"), EURUSD), HOUR, Sessions(market("fx")))
    assert seen.bars == 5000
    assert {kind for _, kind in seen.findings} <= {"gap", "outside"}
    assert "EURUSD  5000  2017-04-19T10:00:00Z  2018-02-07T16:00:00Z" in str(seen)


def test_csv_and_parquet_say_the_same(tmp_path: Path):
    path = csv_file(tmp_path, HEADER + ROW)
    expected = list(read(path, PLAIN))
    assert (expected[0].symbol, expected[0].bar.open) == ("BTC/USD", Decimal("1.10"))
    stamp = micros("2024-03-04T12:01:00Z")
    prices = {"open": ["1.10"], "high": ["1.20"], "low": ["1.00"], "close": ["1.15"], "volume": ["7"]}
    exact = {name: pa.array([Decimal(column[0])], pa.decimal128(12, 6)) for name, column in prices.items()}
    doubles = {name: pa.array([float(column[0])]) for name, column in prices.items()}
    times = {
        "us": pa.array([stamp], pa.timestamp("us", "UTC")),
        "ns": pa.array([stamp * 1000 + 999], pa.timestamp("ns", "UTC")),
        "naive": pa.array([stamp], pa.timestamp("us")),
        "text": pa.array(["2024-03-04T12:01:00Z"]),
    }
    for name, moment in times.items():
        for numbers in (exact, doubles):
            target = tmp_path / f"{name}.parquet"
            pq.write_table(pa.table({"time": moment, "symbol": ["BTC/USD"], **numbers}), target)
            assert list(read(target, PLAIN)) == expected


def test_times_may_be_numbers_and_stamps_of_the_open(tmp_path: Path):
    content = HEADER + ROW.replace("2024-03-04T12:01:00Z", "1709553600")
    layout = Layout(MINUTE, "test", "open", unit="s")
    (one,) = read(csv_file(tmp_path, content), layout)
    assert text(one.close) == "2024-03-04T12:01:00Z"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", 'no column "time"; it has $'),
        ("time,open\n", 'no column "high"; it has "time", "open"'),
        (HEADER + ROW + ROW.replace("1.20", "high"), "row 3: 'high' is not a number"),
        (HEADER + ROW.replace("1.20", "nan"), "row 2: 'nan' is not a finite number"),
        (HEADER + ROW.replace(",7", ""), "row 2: None is not a number"),
        (HEADER + ROW.replace("2024-03-04T12:01:00Z", "noon"), "row 2: Invalid isoformat string"),
        (HEADER + ROW.replace("BTC/USD", ""), "row 2: no symbol"),
        (HEADER + ROW + '"2024', "unexpected end of data"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line_with_its_place(tmp_path: Path, content: str, words: str):
    with pytest.raises(StationError, match=words) as caught:
        list(read(csv_file(tmp_path, content), PLAIN))
    assert "bars.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_not_what_they_are_called_are_refused(tmp_path: Path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\xff\xfe")
    for name, words in (
        ("none.csv", "No such file"),
        ("broken.parquet", "Parquet"),
        ("latin.csv", "codec"),
        ("a.txt", "neither"),
    ):
        with pytest.raises(StationError, match=words):
            list(read(tmp_path / name, PLAIN))


def test_a_parquet_file_without_a_value_names_its_row(tmp_path: Path):
    path = tmp_path / "bars.parquet"
    columns = {name: [1.0, None] for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table({"time": ["2024-03-04T12:01:00Z"] * 2, "symbol": ["X"] * 2, **columns}), path)
    with pytest.raises(StationError, match="row 2: None is not a number"):
        list(read(path, PLAIN))
