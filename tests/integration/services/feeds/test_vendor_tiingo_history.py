# SPDX-License-Identifier: Apache-2.0
"""Tiingo's history, right and broken, against a server that speaks its documented formats."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from station.errors import StationError
from station.feeds.intervals import DAY, HOUR, MINUTE, SECOND
from station.feeds.live import Endpoints
from station.feeds.reading import micros, text
from station.feeds.rest import COMMAND
from station.feeds.vendors.tiingo import Account, Market, TiingoHistory, client

from tests.integration.services.feeds.bench import SteeredClock
from tests.integration.services.feeds.vendors import tiingo as vendor
from tests.integration.services.feeds.vendors.servers import Rest, as_json
from tests.unit.services.feeds.feeds_kit import NOON, ManualClock, Notes, bar

TOKEN = "0123456789abcdef0123456789abcdef01234567"


def past(market: Market, interval: int, rest: Rest, clock: ManualClock, notes: Notes) -> TiingoHistory:
    account = Account(TOKEN, endpoints=Endpoints(rest.url, "", COMMAND))
    return TiingoHistory(market, interval, client(account, clock), clock, notes.append)


def test_a_recorded_answer_is_stamped_at_its_closes(rest: Rest, clock: SteeredClock, notes: Notes):
    # From tests/fixtures/intraday_price.yaml of hydrosquall/tiingo-python; the regular session opens at 14:30 UTC.
    rest.vendor = lambda _: as_json(
        [
            {
                "date": "2018-01-02T14:30:00.000Z",
                "close": 91.145,
                "high": 91.75,
                "low": 91.06,
                "open": 91.75,
                "volume": 7,
            },
            {
                "date": "2018-01-02T20:30:00.000Z",
                "close": 90.585,
                "high": 90.885,
                "low": 90.585,
                "open": 90.875,
                "volume": None,
            },
        ]
    )
    history = past("iex", HOUR // 2, rest, clock, notes)
    first, last = history.history("PG", micros("2018-01-02"), micros("2018-01-03"))
    assert (text(first.closed_at), text(last.closed_at)) == ("2018-01-02T15:00:00Z", "2018-01-02T21:00:00Z")
    assert [first.bar.open, first.bar.high, first.bar.low, first.bar.close] == [
        Decimal(price) for price in ("91.75", "91.75", "91.06", "91.145")
    ]
    assert [first.bar.volume, last.bar.volume] == [7, 0]
    assert first.bar.source == "tiingo-iex"
    asked = rest.asked[0]
    assert (asked.path, asked.query["resampleFreq"]) == ("/iex/PG/prices".lower(), "30min")
    assert asked.query["columns"] == "open,high,low,close,volume"
    assert asked.headers["authorization"] == f"Token {TOKEN}"


def test_a_recorded_answer_of_crypto_keeps_every_digit(rest: Rest, clock: SteeredClock, notes: Notes):
    # From tests/fixtures/crypto_price_history.yaml of hydrosquall/tiingo-python.
    body = (
        '[{"ticker":"fldcbtc","baseCurrency":"fldc","quoteCurrency":"btc","priceData":[{"volume":34807.97636632,'
        '"date":"2019-05-01T00:00:00+00:00","volumeNotional":0.0066135155096008,"close":1.9e-7,"open":1.8e-7,'
        '"low":1.8e-7,"tradesDone":2,"high":1.9e-7}]}]'
    )
    rest.vendor = lambda _: as_json(json.loads(body))
    (one,) = past("crypto", DAY, rest, clock, notes).history("FLDC/BTC", micros("2019-05-01"), micros("2019-05-03"))
    assert (text(one.closed_at), one.bar.symbol, one.bar.source) == (
        "2019-05-02T00:00:00Z",
        "FLDC/BTC",
        "tiingo-crypto",
    )
    assert (one.bar.open, one.bar.volume) == (Decimal("1.8e-7"), Decimal("34807.97636632"))
    assert (rest.asked[0].query["tickers"], rest.asked[0].query["resampleFreq"]) == ("fldcbtc", "1day")


def test_days_close_in_new_york_are_ready_later_and_tell_of_splits_and_dividends(
    rest: Rest, clock: SteeredClock, notes: Notes
):
    plain = {
        "open": 1,
        "high": 2,
        "low": 1,
        "close": 2,
        "volume": 10,
        "adjClose": 2,
        "divCash": 0.0,
        "splitFactor": 1.0,
    }
    rest.vendor = lambda _: as_json(
        [
            plain | {"date": "2020-08-28T00:00:00.000Z"},
            plain | {"date": "2020-08-31T00:00:00.000Z", "splitFactor": 4.0},
            plain | {"date": "2020-11-06T00:00:00.000Z", "divCash": 0.205},
        ]
    )
    history = past("daily", DAY, rest, clock, notes)
    found = list(history.history("AAPL", micros("2020-08-01"), micros("2021-01-01")))
    assert [text(one.closed_at) for one in found] == [
        "2020-08-28T20:00:00Z",
        "2020-08-31T20:00:00Z",
        "2020-11-06T21:00:00Z",
    ]
    assert text(found[0].available) == "2020-08-28T21:30:00Z"
    assert [(note.kind, note.detail) for note in notes] == [
        ("split", "4.0 new shares for one old on 2020-08-31"),
        ("dividend", "0.205 a share went off on 2020-11-06"),
    ]


def test_a_day_that_is_not_ready_yet_is_not_given(rest: Rest, notes: Notes):
    row = {"date": "2024-03-04T00:00:00.000Z", "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
    rest.vendor = lambda _: as_json([row | {"divCash": 0.0, "splitFactor": 1.0}])
    for now, number in (("2024-03-04T22:29:59Z", 0), ("2024-03-04T22:30:00Z", 1)):
        history = past("daily", DAY, rest, ManualClock(micros(now)), notes)
        assert len(list(history.history("AAPL", micros("2024-03-01"), micros("2024-03-06")))) == number


def test_a_long_history_is_asked_for_in_pages_and_the_running_bar_is_left_out(
    rest: Rest, clock: SteeredClock, notes: Notes
):
    bars = [bar(NOON - number * HOUR, symbol="AAPL") for number in range(24 * 10)]
    rest.vendor = vendor.Market([*reversed(bars), bar(NOON + MINUTE, symbol="AAPL")])
    history = past("iex", MINUTE, rest, clock, notes)
    found = list(history.history("AAPL", NOON - 9 * DAY, NOON + HOUR))
    assert [one.closed_at for one in found] == [NOON - number * HOUR for number in range(9 * 24 - 1, -1, -1)]
    pages = [(asked.query["startDate"], asked.query["endDate"]) for asked in rest.asked]
    assert pages == [
        ("2024-02-24", "2024-02-26"),
        ("2024-02-27", "2024-02-29"),
        ("2024-03-01", "2024-03-03"),
        ("2024-03-04", "2024-03-04"),
    ]


@pytest.mark.parametrize("answer", [{"detail": "Not found."}, [{"date": "2024-03-04"}], [7], [{"date": None}]])
def test_an_answer_that_is_not_as_documented_is_one_line(rest: Rest, clock: SteeredClock, notes: Notes, answer: object):
    rest.vendor = lambda _: as_json(answer)
    with pytest.raises(StationError, match=r"^tiingo.*: (a row that is not as documented|an answer that is no list)"):
        list(past("iex", MINUTE, rest, clock, notes).history("AAPL", NOON - HOUR, NOON))


def test_an_expired_token_is_one_line_and_one_request(rest: Rest, clock: SteeredClock, notes: Notes):
    rest.vendor = lambda _: as_json({"detail": "Invalid token."}, 401)
    with pytest.raises(StationError, match=r"Invalid token.* the credential is missing, wrong or expired"):
        list(past("iex", MINUTE, rest, clock, notes).history("AAPL", NOON - HOUR, NOON))
    assert len(rest.asked) == 1


@pytest.mark.parametrize(("market", "interval"), [("daily", HOUR), ("iex", DAY), ("crypto", 30 * SECOND)])
def test_a_length_that_it_does_not_have_is_refused(
    market: Market, interval: int, rest: Rest, clock: SteeredClock, notes: Notes
):
    with pytest.raises(StationError, match="has no bars of"):
        past(market, interval, rest, clock, notes)
