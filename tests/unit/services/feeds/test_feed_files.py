# SPDX-License-Identifier: Apache-2.0
"""Bars in files: the same bars from CSV and Parquet, stamped at their close, or one line that says what is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from station.errors import StationError
from station.feeds.files import Layout, read
from station.feeds.intervals import DAY, HOUR, MINUTE
from station.feeds.reading import micros, text

COLUMNS = ("Open", "High", "Low", "Close", "Volume")
DUKASCOPY = Layout(
    HOUR, "test", "open", symbol="EURUSD", time="Time", time_format="%d.%m.%Y %H:%M:%S.%f", columns=COLUMNS
)
PLAIN = Layout(MINUTE, "test", "close")
HEADER = "time,symbol,open,high,low,close,volume\n"
ROW = "2024-03-04T12:01:00Z,BTC/USD,1.10,1.20,1.00,1.15,7\n"


def csv_file(folder: Path, content: str) -> Path:
    path = folder / "bars.csv"
    path.write_text(content)
    return path


def test_a_daily_bar_is_stamped_when_new_york_closes_in_summer_and_in_winter(tmp_path: Path):
    layout = Layout(DAY, "test", "open", zone=ZoneInfo("America/New_York"), day_closes=time(16))
    rows = [ROW.replace("2024-03-04T12:01:00Z", day) for day in ("2004-08-19", "2013-03-01 00:00:00")]
    days = [text(bar.closed_at) for bar in read(csv_file(tmp_path, HEADER + "".join(rows)), layout)]
    assert days == ["2004-08-19T20:00:00Z", "2013-03-01T21:00:00Z"]


def test_times_may_have_a_format_of_their_own_with_a_zone_or_in_that_of_the_file(tmp_path: Path):
    def closes(stamp: str, layout: Layout) -> str:
        content = f"Time,Open,High,Low,Close,Volume\r\n{stamp},1.0716,1.0722,1.07083,1.0716,1413\r\n"
        (one,) = read(csv_file(tmp_path, content), layout)
        assert [one.bar.open, one.bar.low, one.bar.volume] == [Decimal("1.0716"), Decimal("1.07083"), 1413]
        return text(one.closed_at)

    london = replace(DUKASCOPY, zone=ZoneInfo("Europe/London"))
    zoned = replace(london, time_format="%d.%m.%Y %H:%M %z")
    assert closes("03.07.2017 22:00:00.000", DUKASCOPY) == "2017-07-03T23:00:00Z"
    assert closes("03.07.2017 22:00:00.000", london) == "2017-07-03T22:00:00Z"
    assert closes("03.07.2017 22:00 -0400", zoned) == "2017-07-04T03:00:00Z"


@pytest.mark.parametrize("time_format", ["%d.%m.%Y", "%Q"])
def test_a_time_of_another_format_or_a_format_that_is_none_names_the_row(tmp_path: Path, time_format: str):
    layout = replace(PLAIN, time_format=time_format)
    with pytest.raises(StationError, match=r"bars\.csv: row 2: .*%"):
        list(read(csv_file(tmp_path, HEADER + ROW), layout))


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
    assert text(one.closed_at) == "2024-03-04T12:01:00Z"


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
