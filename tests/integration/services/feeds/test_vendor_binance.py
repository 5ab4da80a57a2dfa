# SPDX-License-Identifier: Apache-2.0
"""Binance's klines over REST and websocket, right and broken, against servers that speak its documented formats."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from station.errors import StationError, Unavailable
from station.feeds.intervals import HOUR, MINUTE, SECOND
from station.feeds.live import Endpoints
from station.feeds.port import RateLimited
from station.feeds.reading import micros
from station.feeds.rest import COMMAND
from station.feeds.vendors.binance import Binance, binance

from tests.integration.services.feeds.bench import Counter, Service, SteeredClock, read
from tests.integration.services.feeds.vendors import binance as vendor
from tests.integration.services.feeds.vendors.servers import HTML, Answer, Cut, Rest, Stream, as_json, cut
from tests.unit.services.feeds.feeds_kit import NOON, Notes, closes, minute

SYMBOL = "BTC/USDT"


def at(number: int, seconds: int = 0) -> int:
    """Return so many minutes and seconds after noon."""
    return NOON + number * MINUTE + seconds * SECOND


def pair(number: int, price: str = "100"):
    return minute(number, price, symbol=SYMBOL)


@pytest.fixture
def feed(rest: Rest, stream: Stream, clock: SteeredClock, notes: Notes) -> Iterator[Binance]:
    rest.vendor = vendor.Market()
    made = binance((SYMBOL,), MINUTE, clock, notes.append, Endpoints(rest.url, stream.url))
    yield made
    made.close()


def test_the_documented_example_is_read(feed: Binance, rest: Rest):
    # rest-api.md, "Kline/Candlestick data": the row of 1499040000000, here as one of a minute.
    row = [1499040000000, "0.01634790", "0.80000000", "0.01575800", "0.01577100", "148976.11427815", 1499040059999]
    rest.vendor = lambda _: as_json([[*row, "2434.19055334", 308, "1756.87402397", "28.46694368", "0"]])
    (one,) = feed.history(SYMBOL, micros("2017-07-03"), micros("2017-07-04"))
    assert one.closed_at == 1499040060000000
    assert [one.bar.open, one.bar.high, one.bar.volume] == [
        Decimal("0.01634790"),
        Decimal("0.80000000"),
        Decimal("148976.11427815"),
    ]
    assert (one.bar.symbol, one.bar.source) == (SYMBOL, "binance")
    assert (rest.asked[0].path, rest.asked[0].query["symbol"]) == ("/api/v3/klines", "BTCUSDT")


def test_history_has_the_bars_that_closed_in_the_span_and_by_now(feed: Binance, rest: Rest, clock: SteeredClock):
    rest.vendor = vendor.Market([pair(number) for number in range(-10, 10)])
    clock.time = at(3, 30)
    assert closes(list(feed.history(SYMBOL, at(-2), at(2)))) == [-1, 0, 1, 2]
    assert closes(list(feed.history(SYMBOL, at(-2) - 1, at(8)))) == [-2, -1, 0, 1, 2, 3]
    assert closes(list(feed.history(SYMBOL, at(5), at(8)))) == []


def test_a_long_history_comes_in_pages_without_seam(feed: Binance, rest: Rest):
    rest.vendor = vendor.Market([pair(number) for number in range(-2500, 1)])
    found = closes(list(feed.history(SYMBOL, at(-2500), at(0))))
    assert found == list(range(-2499, 1))
    assert len(rest.asked) == 3


def test_a_command_survives_what_a_server_in_trouble_does(rest: Rest, clock: SteeredClock, notes: Notes):
    feed = binance((SYMBOL,), MINUTE, clock, notes.append, Endpoints(rest.url, "", COMMAND))
    rest.vendor = vendor.Market([pair(number) for number in range(-5, 1)])
    rest.faults.extend([HTML, cut([vendor.kline(pair(0))]), Answer(b"", 429, {"Retry-After": "3"})])
    assert closes(list(feed.history(SYMBOL, at(-5), at(0)))) == [-4, -3, -2, -1, 0]
    assert clock.passed_s >= 3


@pytest.mark.parametrize("said", [{"code": 0}, [[1]], [["a", *"12345"]], ["kline"]])
def test_klines_that_are_not_as_documented_are_one_line(feed: Binance, rest: Rest, said: object):
    rest.vendor = lambda _: as_json(said)
    with pytest.raises(StationError, match=r"^binance: (klines that are not a list|a kline that is not as documented)"):
        list(feed.history(SYMBOL, at(-5), at(0)))


def test_a_pair_that_does_not_exist_is_one_line(feed: Binance, rest: Rest):
    rest.vendor = vendor.Market([pair(0)])
    with pytest.raises(StationError, match=r"Invalid symbol.* - check address, symbols and interval"):
        list(feed.history("BTC/USDD", at(-5), at(0)))
    assert len(rest.asked) == 1


def test_only_a_closed_kline_becomes_a_bar(feed: Binance, stream: Stream, clock: SteeredClock):
    running = [vendor.update(pair(1, price), closed=False, sent=at(0, 30)) for price in ("90", "95")]
    stream.scripts.append([vendor.SUBSCRIBED, *running, stream.hold, vendor.update(pair(1, "97"), closed=True)])
    counter = Counter(feed)
    feed.open()
    clock.time = at(0, 59)
    counter.settle(stream)
    clock.time = at(1, 1)
    assert feed.receive(0.1) == []
    stream.hold.set()
    (found,) = read(feed, 1)
    assert [found.closed_at, found.available, found.bar.close] == [at(1), at(1, 1), 97]
    assert stream.subscriptions == [{"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 1}]


def test_a_kline_of_a_vendor_whose_clock_is_ahead_waits_for_our_minute(
    feed: Binance, stream: Stream, clock: SteeredClock, notes: Notes
):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.update(pair(1), closed=True, sent=at(1))])
    counter = Counter(feed)
    feed.open()
    clock.time = at(0, 50)
    counter.settle(stream)
    assert notes.kinds == ["clock"]
    clock.time = at(1)
    assert [one.available for one in read(feed, 1)] == [at(1)]


@pytest.mark.parametrize(
    "message",
    [
        {"code": 2, "msg": "Invalid request: unknown variant"},
        {"error": {"code": 2, "msg": "Invalid request"}, "id": 1},
    ],
)
def test_a_refused_subscription_is_one_line(feed: Binance, stream: Stream, message: dict[str, object]):
    stream.scripts.append([message])
    feed.open()
    with pytest.raises(StationError, match=r"subscription refused: .*Invalid request.* - check the symbols"):
        read(feed, 1)


def test_an_announced_shutdown_is_not_waited_for(feed: Binance, stream: Stream):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.SHUTDOWN])
    feed.open()
    with pytest.raises(Unavailable, match="about to shut down"):
        read(feed, 1)


def test_too_many_connections_are_heeded(feed: Binance, stream: Stream):
    stream.refuse.append((418, {"Retry-After": "120"}))
    with pytest.raises(RateLimited) as caught:
        feed.open()
    assert caught.value.wait_s == 120


def test_a_length_that_it_does_not_have_is_refused(clock: SteeredClock, notes: Notes):
    with pytest.raises(StationError, match="binance has no bars of 7m; it has 1s, 1m, 3m"):
        binance((SYMBOL,), 7 * MINUTE, clock, notes.append)
    assert binance((SYMBOL,), HOUR, clock, notes.append).interval == HOUR


def test_a_kline_that_was_lost_on_the_way_is_fetched_before_the_next_one(
    feed: Binance, stream: Stream, rest: Rest, clock: SteeredClock, notes: Notes
):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.update(pair(1), closed=True), stream.hold])
    stream.scripts[0].append(vendor.update(pair(4), closed=True))
    rest.vendor = vendor.Market([pair(number) for number in range(1, 9)])
    service = Service(feed, clock, notes)
    clock.time = at(1)
    service.publishes([1])
    clock.time = at(4)
    stream.hold.set()
    service.publishes([1, 2, 3, 4])
    assert notes == []


def test_after_a_cut_the_feed_subscribes_anew_and_repetitions_are_dropped(
    feed: Binance, stream: Stream, rest: Rest, clock: SteeredClock, notes: Notes
):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.update(pair(1), closed=True), stream.hold, Cut])
    again = [vendor.update(pair(number), closed=True) for number in (1, 4, 4, 5)]
    stream.scripts.append([vendor.SUBSCRIBED, *again])
    rest.vendor = vendor.Market([pair(number) for number in range(1, 5)])
    service = Service(feed, clock, notes)
    clock.time = at(1)
    service.publishes([1])
    clock.time = at(5)
    stream.hold.set()
    service.publishes([1, 2, 3, 4, 5])
    assert len(stream.subscriptions) == 2
    assert set(notes.kinds) <= {"duplicate"}


def test_a_last_message_before_the_cut_is_not_lost(feed: Binance, stream: Stream, clock: SteeredClock):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.update(pair(1), closed=True), Cut])
    feed.open()
    clock.time = at(1)
    assert closes(read(feed, 1)) == [1]
    with pytest.raises(Unavailable):
        read(feed, 1)


def test_a_correction_of_a_published_bar_is_noted_and_the_first_stands(
    feed: Binance, stream: Stream, rest: Rest, clock: SteeredClock, notes: Notes
):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.update(pair(1, "100"), closed=True), stream.hold, Cut])
    stream.scripts.append([vendor.SUBSCRIBED, *(vendor.update(pair(number, "101"), closed=True) for number in (1, 3))])
    service = Service(feed, clock, notes, known=0)
    clock.time = at(1)
    service.publishes([1])
    rest.vendor = vendor.Market([pair(2, "101")])
    clock.time = at(3)
    stream.hold.set()
    service.publishes([1, 2, 3])
    assert [event.payload.close for event in service.shelf.events] == [100, 101, 101]
    assert notes.kinds == ["correction"]
    assert "volume 1.00000000, is now 101.00000000/" in notes[0].detail
