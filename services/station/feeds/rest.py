# SPDX-License-Identifier: Apache-2.0
"""JSON over HTTP from a vendor that limits, breaks off, and says 200 to everything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from station.clock import Clock
from station.errors import StationError, Unavailable
from station.feeds import reading
from station.feeds.limits import UNKNOWN_WAIT_S, Limiter, retry_after
from station.feeds.port import RateLimited
from station.retry import waits

WAITS = partial(waits, 0.5, 30.0)
LARGEST_ANSWER = 64 * 1024 * 1024
_COMPLAINTS = ("error", "detail", "msg", "message")
_SHOWN = 200


def _believe(_: Any) -> None:
    """Take an answer that says 200 at its word."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where a vendor answers, as whom we ask, and how it tells of errors.

    Attributes:
        name: for messages.
        url: scheme, host and port.
        headers: sent with each request; credentials go here, because addresses are logged.
        judge: raises what an answer means that says 200 and tells of an error.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    judge: Callable[[Any], None] = _believe


@dataclass(frozen=True, slots=True)
class Manners:
    """How long an answer may take.

    Attributes:
        tries: requests until it is given up.
        patience_s: the longest wait for a turn; a longer one is the caller's decision.
        timeout_s: seconds for connecting, and between two parts of an answer.
    """

    tries: int
    patience_s: float
    timeout_s: float


COMMAND = Manners(tries=5, patience_s=120.0, timeout_s=10.0)
# Between two messages of a live feed, which must not wait; what history does not answer now it is asked again later.
LIVE = Manners(tries=1, patience_s=2.0, timeout_s=5.0)


class Http:
    """A client that keeps to the limits and asks again where that is right.

    Args:
        vendor: whom to ask.
        limiter: how often.
        clock: waits.
        manners: how long an answer may take.
        waits: seconds between tries, anew for each request.
    """

    def __init__(
        self,
        vendor: Vendor,
        limiter: Limiter,
        clock: Clock,
        manners: Manners = COMMAND,
        waits: Callable[[], Iterator[float]] = WAITS,
    ) -> None:
        self._vendor = vendor
        self._limiter = limiter
        self._clock = clock
        self._manners = manners
        self._waits = waits
        self._client = httpx.Client(
            base_url=vendor.url, headers=dict(vendor.headers), timeout=manners.timeout_s, follow_redirects=False
        )

    def get(self, path: str, params: Mapping[str, str | int], cost: int = 1) -> Any:
        """Return what the JSON at a path says, its numbers exact.

        Raises:
            Unavailable: no usable answer after several tries (RateLimited: one would have to wait too long).
            StationError: the vendor refuses this request or this credential.
        """
        seconds = self._waits()
        for _ in range(self._manners.tries - 1):
            try:
                return self._ask(path, params, cost, seconds)
            except RateLimited as limited:
                if limited.wait_s > self._manners.patience_s:
                    raise
            except Unavailable:
                self._clock.sleep(next(seconds))
        return self._ask(path, params, cost, seconds)

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _ask(self, path: str, params: Mapping[str, str | int], cost: int, seconds: Iterator[float]) -> Any:
        wait_s = self._limiter.wait_s(cost)
        if wait_s > self._manners.patience_s:
            raise RateLimited(f"{self._vendor.name}: no request may go for {wait_s:.0f} s", wait_s)
        if wait_s:
            self._clock.sleep(wait_s)
        self._limiter.take(cost)
        try:
            return self._once(path, params)
        except RateLimited as limited:
            # All of us were told the same time.
            self._limiter.pause(limited.wait_s + next(seconds))
            raise

    def _once(self, path: str, params: Mapping[str, str | int]) -> Any:
        where = f"{self._vendor.name} {path}"
        try:
            with self._client.stream("GET", path, params=dict(params)) as answer:
                body = _body(answer, where)
        except httpx.RequestError as error:
            raise Unavailable(f"{where}: {type(error).__name__} {_shown(str(error))}") from None
        _refuse(answer, body, where, self._clock.now())
        try:
            said = reading.parse_json(body)
        except ValueError:
            raise _not_json(body, where) from None
        self._vendor.judge(said)
        return said


def _body(answer: httpx.Response, where: str) -> bytes:
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > LARGEST_ANSWER:
            raise Unavailable(f"{where}: an answer of more than {LARGEST_ANSWER >> 20} MiB")
    return bytes(body)


def _refuse(answer: httpx.Response, body: bytes, where: str, now: int) -> None:
    status, said = answer.status_code, f"{where}: HTTP {answer.status_code} {_complaint(body)}"
    # 418 is what Binance says to an address that did not heed 429.
    if status in {418, 429}:
        raise RateLimited(said, retry_after(answer.headers.get("retry-after", ""), now))
    if status in {401, 403}:
        raise StationError(f"{said} - the credential is missing, wrong or expired, or this host is barred")
    if status >= 500 or status == 408:
        raise Unavailable(said)
    if status != 200:
        raise StationError(f"{said} - check address, symbols and interval")


def _not_json(body: bytes, where: str) -> Unavailable:
    # Tiingo tells of a used-up allowance as plain text with status 200 (hydrosquall/tiingo-python#45).
    if re.search(rb"run over your|too many requests", body, re.IGNORECASE):
        return RateLimited(f"{where}: {_shown(body)}", UNKNOWN_WAIT_S)
    return Unavailable(f"{where}: not JSON: {_shown(body)}")


def _complaint(body: bytes) -> str:
    """Return what a vendor says is wrong, without what it repeats of the question."""
    try:
        said = reading.parse_json(body)
    except ValueError:
        return _shown(body)
    words = [said[key] for key in _COMPLAINTS if said.get(key)] if isinstance(said, dict) else []
    return _shown(str(words[0])) if words else _shown(body)


def _shown(said: str | bytes) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:_SHOWN]
