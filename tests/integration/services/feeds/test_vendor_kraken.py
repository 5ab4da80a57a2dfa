# SPDX-License-Identifier: Apache-2.0
"""Kraken's candles over REST and websocket, right and broken, against servers that speak its documented formats."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from station.errors import StationError, Unavailable
from station.feeds.intervals import DAY, MINUTE, SECOND
from station.feeds.live import Endpoints
from station.feeds.port import RateLimited
from station.feeds.reading import micros
from station.feeds.rest import COMMAND
from station.feeds.vendors.kraken import Kraken, kraken

from tests.integration.services.feeds.bench import Counter, Service, SteeredClock, read, read_until
from tests.integration.services.feeds.vendors import kraken as vendor
from tests.integration.services.feeds.vendors.servers import Cut, Rest, Stream, as_json
from tests.unit.services.feeds.feeds_kit import NOON, Notes, closes, minute

SYMBOL = "BTC/USD"


def at(number: int, seconds: int = 0) -> int:
    """Return so many minutes and seconds after noon."""
    return NOON + number * MINUTE + seconds * SECOND


@pytest.fixture
def feed(rest: Rest, stream: Stream, clock: SteeredClock, notes: Notes) -> Iterator[Kraken]:
    rest.vendor = vendor.Market()
    made = kraken((SYMBOL,), MINUTE, clock, notes.append, Endpoints(rest.url, stream.url))
    yield made
    made.close()


def test_the_documented_answer_is_read(feed: Kraken, rest: Rest, notes: Notes):
    # docs.kraken.com, "Historical data": the row of 1700000000 is on no whole minute there; here it is on one.
    row = [1699999980, "37000.0", "37500.0", "36800.0", "37200.0", "37100.0", "150.5", 320]
    rest.vendor = lambda _: as_json({"error": [], "result": {"XXBTZUSD": [row], "last": 1700086400}})
    (one,) = feed.history(SYMBOL, micros("2023-11-14"), micros("2023-11-15"))
    assert one.closed_at == 1_700_000_040_000_000
    assert [one.bar.open, one.bar.high, one.bar.low, one.bar.close, one.bar.volume] == [
        Decimal(number) for number in ("37000.0", "37500.0", "36800.0", "37200.0", "150.5")
    ]
    asked = rest.asked[0]
    assert (asked.path, asked.query["pair"], asked.query["interval"]) == ("/0/public/OHLC", "XBTUSD", "1")
    assert notes == []


def test_history_has_the_bars_that_closed_in_the_span_and_by_now(feed: Kraken, rest: Rest, clock: SteeredClock):
    rest.vendor = vendor.Market([minute(number) for number in range(-10, 10)])
    clock.time = at(3, 30)
    assert closes(list(feed.history(SYMBOL, at(-2), at(2)))) == [-1, 0, 1, 2]
    assert closes(list(feed.history(SYMBOL, at(-2), at(8)))) == [-1, 0, 1, 2, 3]


def test_a_history_that_does_not_reach_back_so_far_is_noted(feed: Kraken, rest: Rest, notes: Notes):
    rest.vendor = vendor.Market([minute(number) for number in range(-2000, 1)])
    found = closes(list(feed.history(SYMBOL, at(-1000), at(0))))
    assert found == list(range(-719, 1))
    assert notes.kinds == ["history_short"]
    assert "load older bars from a file" in notes[0].detail


def test_too_many_requests_come_with_status_200_and_are_heeded(rest: Rest, clock: SteeredClock, notes: Notes):
    feed = kraken((SYMBOL,), MINUTE, clock, notes.append, Endpoints(rest.url, "", COMMAND))
    rest.vendor = vendor.Market([minute(0)])
    rest.faults.extend([vendor.LIMITED, vendor.BUSY])
    assert closes(list(feed.history(SYMBOL, at(-5), at(0)))) == [0]
    assert clock.passed_s >= 60
    assert len(rest.asked) == 3


def test_a_pair_that_does_not_exist_is_one_line(feed: Kraken, rest: Rest):
    with pytest.raises(StationError, match="kraken: EQuery:Unknown asset pair - check symbols and interval"):
        list(feed.history("BTC/USDD", at(-5), at(0)))
    assert len(rest.asked) == 1


@pytest.mark.parametrize(
    "said",
    [{"error": []}, {"error": [], "result": {}}, {"error": [], "result": {"X": [[1]]}}, [], {"result": {"X": 5}}],
)
def test_an_answer_that_is_not_as_documented_is_one_line(feed: Kraken, rest: Rest, said: object):
    rest.vendor = lambda _: as_json(said)
    with pytest.raises(StationError, match=r"^kraken: OHLC that is not as documented"):
        list(feed.history(SYMBOL, at(-5), at(0)))


def test_a_recorded_update_is_read_to_the_last_digit(feed: Kraken, stream: Stream, clock: SteeredClock, notes: Notes):
    # A frame of wss://ws.kraken.com/v2, with another time.
    message = (
        '{"channel":"ohlc","type":"update","timestamp":"2024-03-04T12:00:02.264627814Z","data":[{"symbol":"BTC/USD",'
        '"open":85754.8,"high":85754.8,"low":85754.7,"close":85754.8,"trades":5,"volume":0.00126522,"vwap":85754.7,'
        '"interval_begin":"2024-03-04T12:00:00.000000000Z","interval":1,"timestamp":"2024-03-04T12:01:00.000000Z"}]}'
    )
    stream.scripts.append([vendor.STATUS, vendor.subscribed(), vendor.HEARTBEAT, message])
    counter = Counter(feed)
    feed.open()
    clock.time = at(0, 3)
    counter.settle(stream)
    clock.time = at(1, 2)
    (found,) = read(feed, 1)
    assert (found.closed_at, found.bar.volume, found.bar.low) == (at(1), Decimal("0.00126522"), Decimal("85754.7"))
    assert notes == []
    wanted = {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1}
    assert stream.subscriptions == [{"method": "subscribe", "params": wanted}]


def test_a_candle_has_closed_when_the_next_one_begins_or_a_moment_after_its_end(
    feed: Kraken, stream: Stream, clock: SteeredClock
):
    updates = [vendor.candles(minute(1, price), sent=at(0, 40)) for price in ("1", "2")]
    stream.scripts.append([vendor.subscribed(), *updates, vendor.candles(minute(2, "3"), sent=at(1, 1))])
    counter = Counter(feed)
    feed.open()
    clock.time = at(0, 59)
    counter.settle(stream)
    clock.time = at(1)
    assert [[one.bar.close, one.available] for one in read(feed, 1)] == [[2, at(1)]]
    clock.time = at(2, 1)
    assert feed.receive(0.1) == []
    clock.time = at(2, 2)
    assert [one.bar.close for one in read(feed, 1)] == [3]


def test_a_change_after_the_bar_was_given_out_is_noted(feed: Kraken, stream: Stream, clock: SteeredClock, notes: Notes):
    stream.scripts.append([vendor.subscribed(), vendor.candles(minute(1, "5"), sent=at(1)), stream.hold])
    stream.scripts[0].append(vendor.candles(minute(1, "6"), sent=at(1)))
    counter = Counter(feed)
    feed.open()
    clock.time = at(0, 59)
    counter.settle(stream)
    clock.time = at(1, 2)
    assert len(read(feed, 1)) == 1
    stream.hold.set()
    read_until(feed, lambda _: bool(notes))
    assert notes.kinds == ["late_update"]


def test_a_refused_pair_is_one_line(feed: Kraken, stream: Stream):
    stream.scripts.append([vendor.refused("XBT/USD")])
    feed.open()
    with pytest.raises(StationError, match="Currency pair not supported XBT/USD - check the symbols"):
        read(feed, 1)


@pytest.mark.parametrize(
    "change", [{"symbol": "DOGE/USD"}, {"interval": 5}, {"open": None}, {"interval_begin": "soon"}]
)
def test_candles_that_nobody_asked_for_or_that_are_none_are_noted(
    feed: Kraken, stream: Stream, clock: SteeredClock, notes: Notes, change: dict[str, object]
):
    odd = vendor.candles(minute(1), sent=at(0))
    odd["data"][0] |= change
    stream.scripts.append([vendor.subscribed(), odd])
    counter = Counter(feed)
    feed.open()
    counter.settle(stream)
    clock.time = at(9)
    assert feed.receive(0.1) == []
    assert notes.kinds == ["malformed"]


def test_a_length_that_it_does_not_have_is_refused(clock: SteeredClock, notes: Notes):
    with pytest.raises(StationError, match="kraken has no bars of 3d; it has 1m, 5m"):
        kraken((SYMBOL,), 3 * DAY, clock, notes.append)


def test_too_many_connections_are_heeded(feed: Kraken, stream: Stream):
    stream.refuse.append((429, {}))
    with pytest.raises(RateLimited, match="HTTP 429"):
        feed.open()


def test_after_a_cut_snapshot_and_history_close_the_gap_and_repeat_nothing(
    feed: Kraken, stream: Stream, rest: Rest, clock: SteeredClock, notes: Notes
):
    stream.scripts.append([vendor.subscribed(), vendor.candles(minute(1), sent=at(1)), stream.hold, Cut])
    snapshot = vendor.candles(*map(minute, (1, 2, 3, 4, 5)), kind="snapshot", sent=at(4, 20))
    stream.scripts.append([vendor.subscribed(), snapshot, vendor.candles(minute(6), sent=at(5, 1))])
    rest.vendor = vendor.Market([minute(number) for number in range(1, 5)])
    service = Service(feed, clock, notes)
    service.service.step()
    clock.time = at(1, 2)
    service.publishes([1])
    clock.time = at(4, 20)
    stream.hold.set()
    service.publishes([1, 2, 3, 4])
    clock.time = at(5, 2)
    service.publishes([1, 2, 3, 4, 5])
    assert len(stream.subscriptions) == 2
    assert set(notes.kinds) <= {"duplicate", "clock"}


def test_the_line_is_cut_before_the_answer_to_the_subscription(feed: Kraken, stream: Stream):
    stream.scripts.append([stream.hold, Cut])
    feed.open()
    stream.hold.set()
    with pytest.raises(Unavailable, match=r"^kraken: "):
        read(feed, 1)
