# SPDX-License-Identifier: Apache-2.0
"""Tiingo's live trades, right and broken, against servers that speak its documented formats."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Literal

import pytest
from station.errors import StationError, Unavailable
from station.feeds.intervals import MINUTE, SECOND
from station.feeds.live import ANSWER_S, SILENCE_S, Endpoints
from station.feeds.port import ClosedBar, RateLimited
from station.feeds.vendors.tiingo import REFERENCE_PRICES, TRADES, Account
from station.feeds.vendors.tiingo_live import Subscription, TiingoLive, tiingo

from tests.integration.services.feeds.bench import Counter, Service, SteeredClock, read, read_until
from tests.integration.services.feeds.vendors import tiingo as vendor
from tests.integration.services.feeds.vendors.servers import Close, Cut, HalfMessage, Rest, Stream, as_json
from tests.unit.services.feeds.feeds_kit import NOON, Notes, closes, minute

TOKEN = "0123456789abcdef0123456789abcdef01234567"


def at(second: int) -> int:
    """Return so many seconds after noon."""
    return NOON + second * SECOND


def start(feed: TiingoLive, stream: Stream, clock: SteeredClock, second: int = 119) -> None:
    """Subscribe at noon and read what comes until some seconds later."""
    counter = Counter(feed)
    feed.open()
    clock.time = at(second)
    counter.settle(stream)


def share(number: int, price: str = "100") -> ClosedBar:
    return minute(number, price, symbol="AAPL")


@pytest.fixture
def live(rest: Rest, stream: Stream, clock: SteeredClock, notes: Notes):
    """Return `live(level, market)`, an unopened feed of one symbol."""
    rest.vendor = vendor.Market()

    def make(level: int = TRADES, market: Literal["iex", "crypto"] = "iex") -> TiingoLive:
        symbols = ("AAPL",) if market == "iex" else ("BTC/USD",)
        account = Account(TOKEN, level=level, endpoints=Endpoints(rest.url, stream.url))
        feed = tiingo(Subscription(market, symbols, MINUTE), account, clock, notes.append)
        made.append(feed)
        return feed

    made: list[TiingoLive] = []
    yield make
    for feed in made:
        feed.close()


def test_trades_become_bars_and_what_is_no_trade_of_the_session_does_not(stream: Stream, live, clock: SteeredClock):
    stream.scripts.append(
        [
            vendor.SUBSCRIBED,
            vendor.HEARTBEAT,
            vendor.trade(at(61), 100.0, 10),
            vendor.quote(at(62)),
            vendor.trade(at(63), 999.0, 10, after_hours=1),
            vendor.trade(at(64), 102.5, 5),
            vendor.trade(at(119), 101.25, 1),
        ]
    )
    feed = live(TRADES)
    start(feed, stream, clock)
    clock.time = at(122)
    (found,) = read(feed, 1)
    one = found.bar
    assert [one.open, one.high, one.low, one.close, one.volume] == [100, Decimal("102.5"), 100, Decimal("101.25"), 16]
    assert (found.closed_at, found.available, one.symbol, one.source) == (at(120), at(122), "AAPL", "tiingo-iex")
    (asked,) = stream.subscriptions
    assert asked["eventData"] == {"thresholdLevel": 5, "tickers": ["aapl"]}
    assert asked["authorization"] == TOKEN


def test_reference_prices_make_bars_without_volume(stream: Stream, live, clock: SteeredClock):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.reference(at(61), 430.26), vendor.reference(at(70), 430.5)])
    feed = live(REFERENCE_PRICES)
    start(feed, stream, clock)
    clock.time = at(122)
    (found,) = read(feed, 1)
    assert [found.bar.open, found.bar.close, found.bar.volume] == [Decimal("430.26"), Decimal("430.5"), 0]


def test_crypto_trades_of_all_exchanges_make_one_bar(stream: Stream, live, clock: SteeredClock):
    stream.scripts.append(
        [vendor.SUBSCRIBED, vendor.crypto_trade(at(61), 9.631e-05, 405.0), vendor.crypto_trade(at(62), 9.7e-05, 0.5)]
    )
    feed = live(market="crypto")
    start(feed, stream, clock)
    clock.time = at(122)
    (found,) = read(feed, 1)
    assert [found.bar.low, found.bar.high, found.bar.volume] == [
        Decimal("9.631e-05"),
        Decimal("9.7e-05"),
        Decimal("405.5"),
    ]
    assert stream.subscriptions[0]["eventData"] == {"thresholdLevel": 5, "tickers": ["btcusd"]}


def test_a_level_that_the_plan_does_not_have_is_one_line(stream: Stream, live):
    stream.scripts.append([vendor.error(400, "thresholdLevel not valid for your subscription tier")])
    feed = live(TRADES)
    feed.open()
    with pytest.raises(StationError, match=r"^tiingo: 400 thresholdLevel not valid .* check credential, plan"):
        read(feed, 1)


@pytest.mark.parametrize(("code", "error"), [(429, RateLimited), (503, Unavailable)])
def test_errors_that_pass_are_no_reason_to_give_up(stream: Stream, live, code: int, error: type[Exception]):
    stream.scripts.append([vendor.error(code, "later")])
    feed = live()
    feed.open()
    with pytest.raises(error, match="later"):
        read(feed, 1)


@pytest.mark.parametrize("end", [Cut, HalfMessage, Close, '{"messageType": "A", "serv', "<html>"])
def test_what_breaks_the_line_is_told_and_the_line_is_opened_anew(stream: Stream, live, end: object):
    stream.scripts.extend([[vendor.SUBSCRIBED, end], [vendor.SUBSCRIBED]])  # type: ignore[list-item]
    feed = live()
    feed.open()
    with pytest.raises(Unavailable, match=r"^tiingo: "):
        read(feed, 1)
    with pytest.raises(Unavailable, match="not connected"):
        feed.receive(0.0)
    feed.open()
    assert feed.receive(0.1) == []
    assert len(stream.subscriptions) == 2


def test_a_line_that_is_silent_counts_as_broken(stream: Stream, live, clock: SteeredClock):
    stream.scripts.append([vendor.SUBSCRIBED])
    feed = live()
    feed.open()
    read_until(feed, lambda _: feed._unanswered == 0)
    clock.passed_s += SILENCE_S + 1
    with pytest.raises(Unavailable, match="connected, but silent for 61 s"):
        read(feed, 1)


def test_a_subscription_that_nobody_answers_counts_as_broken(stream: Stream, live, clock: SteeredClock):
    stream.scripts.append([vendor.HEARTBEAT])
    feed = live()
    feed.open()
    assert feed.receive(0.1) == []
    clock.passed_s += ANSWER_S + 1
    with pytest.raises(Unavailable, match="1 subscriptions without an answer for 10 s"):
        feed.receive(0.1)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, StationError, "credential is missing, wrong or expired"),
        (429, RateLimited, "HTTP 429"),
        (502, Unavailable, "HTTP 502"),
        (404, StationError, "check the address"),
    ],
)
def test_a_refused_handshake_says_what_to_do(stream: Stream, live, status: int, error: type[Exception], words: str):
    stream.refuse.append((status, {"Retry-After": "30"}))
    with pytest.raises(error, match=words) as caught:
        live().open()
    if isinstance(caught.value, RateLimited):
        assert caught.value.wait_s == 30


@pytest.mark.parametrize(
    "message",
    [
        {"messageType": "A", "service": "iex", "data": ["T"]},
        {"messageType": "A", "service": "iex", "data": None},
        vendor.trade(at(61), float("nan")) | {"data": ["T", "", None, "aapl"]},
        {"messageType": "A", "service": "iex", "data": ["T", "x", at(61) * 1000, "msft", *[None] * 5, 1.0, 1, None, 0]},
        {"no": "type"},
        [1, 2],
    ],
)
def test_a_message_that_is_not_as_documented_is_noted_and_the_next_one_read(
    stream: Stream, live, clock: SteeredClock, notes: Notes, message: dict[str, object]
):
    stream.scripts.append([vendor.SUBSCRIBED, message, vendor.trade(at(61), 5.0)])
    feed = live()
    start(feed, stream, clock)
    clock.time = at(122)
    assert [one.bar.open for one in read(feed, 1)] == [5]
    assert notes.kinds == ["malformed"]


def test_trades_in_the_wrong_order_make_the_same_bar_and_late_ones_are_noted(
    stream: Stream, live, clock: SteeredClock, notes: Notes
):
    first = [vendor.trade(at(118), 7.0), vendor.trade(at(61), 5.0), vendor.trade(at(90), 9.0)]
    stream.scripts.append([vendor.SUBSCRIBED, *first, stream.hold, vendor.trade(at(119), 1.0)])
    feed = live()
    counter = Counter(feed)
    feed.open()
    clock.time = at(119)
    counter.settle(stream)
    clock.time = at(122)
    (found,) = read(feed, 1)
    assert [found.bar.open, found.bar.high, found.bar.low, found.bar.close] == [5, 9, 5, 7]
    stream.hold.set()
    read_until(feed, lambda _: bool(notes))
    assert notes.kinds == ["late_update"]


def test_a_cancelled_trade_is_noted(stream: Stream, live, clock: SteeredClock, notes: Notes):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.trade(at(61), 5.0, kind="B"), vendor.trade(at(62), 6.0)])
    feed = live()
    start(feed, stream, clock)
    clock.time = at(122)
    assert [one.bar.open for one in read(feed, 1)] == [6]
    assert notes.kinds == ["trade_break"]


def test_a_vendors_clock_that_is_ahead_is_noted_and_gives_no_bar_before_its_time(
    stream: Stream, live, clock: SteeredClock, notes: Notes
):
    stream.scripts.append([vendor.SUBSCRIBED, *(vendor.trade(at(60 + second), 5.0) for second in range(0, 200, 10))])
    feed = live()
    feed.open()
    clock.time = at(90)
    read_until(feed, lambda _: bool(notes))
    assert notes.kinds == ["clock"]
    assert "check time synchronisation" in notes[0].detail
    assert feed.receive(0.1) == []
    clock.time = at(122)
    assert [one.available for one in read(feed, 1)] == [at(122)]


def test_the_token_is_in_no_log_and_no_address(stream: Stream, live, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    stream.scripts.append([vendor.SUBSCRIBED, vendor.error(401, "Invalid token")])
    feed = live()
    feed.open()
    with pytest.raises(StationError) as caught:
        read(feed, 1)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(Account(TOKEN))
    # The server's side logs what it gets; ours must not say a word of what it sends, not even abbreviated.
    assert caplog.records
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
    assert all("authorization" not in said and TOKEN not in said for said in ours)


def test_a_cut_in_the_middle_costs_no_bar(stream: Stream, live, rest: Rest, clock: SteeredClock, notes: Notes):
    stream.scripts.append([vendor.SUBSCRIBED, vendor.trade(at(61), 100.0), vendor.trade(at(121), 100.0)])
    stream.scripts[0] += [stream.hold, Cut]
    stream.scripts.append([vendor.SUBSCRIBED, vendor.trade(at(250), 100.0), vendor.trade(at(301), 100.0)])
    feed = live()
    service = Service(feed, clock, notes)
    service.service.step()
    clock.time = at(122)
    rest.vendor = vendor.Market([share(number) for number in range(1, 8)])
    service.publishes([2])
    clock.time = at(245)
    stream.hold.set()
    service.publishes([2, 3, 4])
    # Minute 5 was running at the reconnection; it comes from history before minute 6, which was seen live.
    clock.time = at(365)
    service.publishes([2, 3, 4, 5, 6])
    assert len(stream.subscriptions) == 2
    assert [state for state, _ in service.health] == ["ready", "degraded", "ready"]


def test_a_line_that_lives_and_brings_nothing_is_degraded_and_opened_anew(
    stream: Stream, live, clock: SteeredClock, notes: Notes
):
    stream.scripts.extend([[vendor.SUBSCRIBED, *[vendor.HEARTBEAT] * 3], [vendor.SUBSCRIBED]])
    service = Service(live(), clock, notes)
    service.step_until(lambda: bool(service.health))
    clock.time = at(71)
    service.step_until(lambda: len(stream.subscriptions) == 2)
    assert [state for state, _ in service.health] == ["ready", "degraded"]
    assert "no bar of AAPL for 2024-03-04T12:01:00Z" in service.health[1][1]


def test_an_expired_token_ends_the_service_without_a_storm(stream: Stream, live, clock: SteeredClock, notes: Notes):
    stream.scripts.append([vendor.error(401, "Invalid token")])
    service = Service(live(), clock, notes)
    with pytest.raises(StationError, match="401 Invalid token"):
        service.service.run()
    assert len(stream.subscriptions) == 1
    assert service.health[-1][0] == "degraded"


def test_history_that_limits_does_not_stop_the_live_feed(
    stream: Stream, live, rest: Rest, clock: SteeredClock, notes: Notes
):
    rest.vendor = lambda _: as_json({"detail": "limit"}, 429, Retry_After="3000")
    stream.scripts.append([vendor.SUBSCRIBED, vendor.trade(at(61), 100.0)])
    service = Service(live(), clock, notes, known=-5)
    service.service.step()
    clock.time = at(122)
    service.publishes([2])
    assert "no_history" in notes.kinds
    assert len(rest.asked) == 1
    assert closes([share(2)]) == [2]
