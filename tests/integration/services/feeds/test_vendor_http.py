# SPDX-License-Identifier: Apache-2.0
"""A vendor limits, breaks off, says 200 to everything: it is asked again where that is right, and only there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from itertools import repeat

import pytest
from station.errors import StationError, Unavailable
from station.feeds import rest as client
from station.feeds.limits import Limiter, Rate
from station.feeds.port import RateLimited
from station.feeds.rest import COMMAND, LIVE, Http, Vendor

from tests.integration.services.feeds.vendors.servers import HTML, Answer, Rest, as_json, cut, rest
from tests.unit.services.feeds.feeds_kit import NOON, ManualClock

TOKEN = "0123456789abcdef0123456789abcdef01234567"
RIGHT = {"price": 1.1}


@pytest.fixture
def server() -> Iterator[Rest]:
    with rest(lambda _: as_json(RIGHT)) as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def http(server: Rest, clock: ManualClock) -> Iterator[Http]:
    vendor = Vendor("vendor", server.url, {"Authorization": f"Token {TOKEN}"})
    made = Http(vendor, Limiter((Rate(100, 1.0),), clock), clock, waits=partial(repeat, 0.5))
    yield made
    made.close()


def test_numbers_come_as_they_were_written(server: Rest, http: Http):
    server.vendor = lambda _: Answer(b'{"price": 0.10, "size": 1e-8, "count": 3}')
    assert http.get("/prices", {"symbol": "BTC/USD"}) == {"price": Decimal("0.10"), "size": Decimal("1e-8"), "count": 3}
    (asked,) = server.asked
    assert (asked.path, asked.query, asked.headers["authorization"]) == (
        "/prices",
        {"symbol": "BTC/USD"},
        f"Token {TOKEN}",
    )


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, "7", 7.0), (418, "7", 7.0), (429, "Mon, 04 Mar 2024 12:00:07 GMT", 7.0), (429, "", 60.0)],
)
def test_too_many_requests_waits_as_long_as_it_says_and_a_little(
    server: Rest, http: Http, status: int, header: str, seconds: float
):
    clock = http._clock
    server.faults.append(Answer(b"slow down", status, {"Retry-After": header} if header else {}))
    assert http.get("/", {}) == {"price": Decimal("1.1")}
    assert (clock.now() - NOON) / 1e6 == pytest.approx(seconds + 0.5)
    assert len(server.asked) == 2


def test_a_ban_of_days_is_told_and_not_waited_for_nor_asked_against(server: Rest, http: Http, clock: ManualClock):
    server.faults.append(Answer(b"banned", 418, {"Retry-After": "259200"}))
    for _ in range(3):
        with pytest.raises(RateLimited, match=r"HTTP 418 banned|no request may go for 2592.. s") as caught:
            http.get("/", {})
    assert caught.value.wait_s == pytest.approx(259200, abs=10)
    assert (len(server.asked), clock.time) == (1, NOON)


def test_an_allowance_that_is_used_up_comes_as_text_with_status_200(server: Rest, http: Http, clock: ManualClock):
    server.faults.append(Answer(b"You have run over your 500 symbol look up for this month. Please upgrade."))
    assert http.get("/", {}) == {"price": Decimal("1.1")}
    assert clock.time - NOON >= 60_000_000


@pytest.mark.parametrize(
    "fault",
    [
        cut(RIGHT),
        HTML,
        Answer(b"", 200),
        Answer(b'{"price": NaN}'),
        Answer(b"oops", 500),
        Answer(b"oops", 503),
        Answer(b"this is no gzip", headers={"content-encoding": "gzip"}),
    ],
    ids=["cut", "html", "empty", "nan", "500", "503", "gzip"],
)
def test_what_may_be_better_next_time_is_asked_for_again_and_then_given_up(server: Rest, http: Http, fault: Answer):
    server.faults.append(fault)
    assert http.get("/", {}) == {"price": Decimal("1.1")}
    server.faults.extend([fault] * COMMAND.tries)
    with pytest.raises(Unavailable, match=r"^vendor /: ") as caught:
        http.get("/", {})
    assert len(server.asked) == 2 + COMMAND.tries
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_one_clear_line_and_one_request(server: Rest, http: Http, status: int):
    server.vendor = lambda _: as_json({"detail": "Invalid token."}, status)
    with pytest.raises(StationError, match=rf"^vendor /: HTTP {status} .*Invalid token.* the credential is missing"):
        http.get("/", {})
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [Answer(b'{"code":-1121,"msg":"Invalid symbol."}', 400), Answer(b"", 404)])
def test_a_refused_request_is_one_clear_line_and_one_request(server: Rest, http: Http, answer: Answer):
    server.vendor = lambda _: answer
    with pytest.raises(StationError, match="check address, symbols and interval"):
        http.get("/", {})
    assert len(server.asked) == 1


def test_the_credential_follows_no_redirection(server: Rest, http: Http):
    with rest(lambda _: as_json(RIGHT)) as elsewhere:
        server.vendor = lambda _: Answer(b"", 302, {"Location": elsewhere.url})
        with pytest.raises(StationError, match="HTTP 302"):
            http.get("/", {})
        assert elsewhere.asked == []


def test_an_endless_answer_is_not_read_to_its_end(server: Rest, http: Http, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "LARGEST_ANSWER", 1 << 20)
    server.vendor = lambda _: Answer(b"0" * (3 << 20))
    with pytest.raises(Unavailable, match="an answer of more than 1 MiB"):
        http.get("/", {})


def test_nobody_there_is_unavailable(clock: ManualClock):
    with rest(lambda _: as_json(RIGHT)) as gone:
        pass
    http = Http(Vendor("vendor", gone.url), Limiter((), clock), clock, waits=partial(repeat, 0.5))
    with pytest.raises(Unavailable, match="ConnectError"):
        http.get("/", {})
    assert clock.slept == [0.5] * (COMMAND.tries - 1)


def test_a_live_feed_is_not_kept_waiting(server: Rest, clock: ManualClock):
    http = Http(Vendor("vendor", server.url), Limiter((Rate(100, 1.0),), clock), clock, LIVE)
    server.faults.extend([HTML, Answer(b"", 429, {"Retry-After": "7"})])
    for error in (Unavailable, RateLimited, RateLimited):
        with pytest.raises(error):
            http.get("/", {})
    assert (clock.slept, len(server.asked)) == ([], 2)


def test_requests_keep_to_the_rate(server: Rest, clock: ManualClock):
    http = Http(Vendor("vendor", server.url), Limiter((Rate(2, 10.0),), clock), clock)
    for _ in range(6):
        http.get("/", {})
    assert (clock.time - NOON) / 1e6 == pytest.approx(20.0, abs=0.01)


def test_the_token_is_in_no_log_no_address_and_no_message(server: Rest, http: Http, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    http.get("/", {"symbol": "AAPL"})
    server.vendor = lambda _: as_json({"detail": "Invalid token."}, 401)
    with pytest.raises(StationError) as caught:
        http.get("/", {})
    assert caplog.records
    for said in (*(record.getMessage() for record in caplog.records), str(caught.value), str(caught.value.__context__)):
        assert TOKEN not in said
    assert all(TOKEN not in str(asked.query) for asked in server.asked)
    assert TOKEN not in repr(Vendor("vendor", server.url, {"Authorization": TOKEN}))
