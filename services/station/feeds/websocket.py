# SPDX-License-Identifier: Apache-2.0
"""A websocket that is either trusted or gone: what is broken, silent or cut off is opened anew, never guessed at."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from typing import Any

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from station.clock import Clock
from station.errors import StationError, Unavailable
from station.feeds import reading
from station.feeds.limits import retry_after
from station.feeds.port import RateLimited

# Its debug messages quote what is sent, the credential in the subscription included.
_LOGGER = logging.getLogger("station.feeds.websocket")
_LOGGER.setLevel(logging.INFO)
_SECOND_NS = 1_000_000_000
_SHOWN = 200


class Channel:
    """One connection to a vendor, JSON both ways.

    Args:
        name: for messages.
        url: ws:// or wss://, without credentials, because it is logged.
        silence_s: after so long without any message the connection counts as dead; vendors send heartbeats.
    """

    def __init__(self, name: str, url: str, clock: Clock, silence_s: float) -> None:
        self._name = name
        self._url = url
        self._clock = clock
        self._silence_ns = int(silence_s * _SECOND_NS)
        self._heard_ns = 0
        self._stack = ExitStack()
        self._connection: ClientConnection | None = None

    def open(self) -> None:
        """Connect, after ending what was there.

        Raises:
            Unavailable: not now.
            StationError: the vendor refuses us.
        """
        self.close()
        try:
            self._connection = self._stack.enter_context(
                connect(self._url, logger=_LOGGER, close_timeout=1.0, compression=None)
            )
        except InvalidStatus as error:
            raise self._refusal(error) from None
        except (WebSocketException, OSError, EOFError) as error:
            raise Unavailable(f"{self._name}: cannot connect: {error}") from None
        self._heard_ns = self._clock.monotonic_ns()

    def send(self, message: object) -> None:
        """Send something as JSON.

        Raises:
            Unavailable: the connection is gone.
        """
        try:
            self._live().send(json.dumps(message))
        except (WebSocketException, OSError) as error:
            raise self._gone(error) from None

    def receive(self, wait_s: float) -> Any:
        """Return the next message, None if there is none within the time.

        Raises:
            Unavailable: the connection is gone, sent something that is no JSON, or has been silent for too long.
        """
        try:
            message = self._live().recv(timeout=max(0.0, wait_s))
        except TimeoutError:
            self._check_silence()
            return None
        except (WebSocketException, OSError) as error:
            raise self._gone(error) from None
        self._heard_ns = self._clock.monotonic_ns()
        try:
            return reading.parse_json(message)
        except ValueError:
            self.close()
            raise Unavailable(f"{self._name}: a message that is not JSON: {message[:_SHOWN]!r}") from None

    def close(self) -> None:
        """End the connection."""
        self._connection = None
        self._stack.close()

    def _live(self) -> ClientConnection:
        if self._connection is None:
            raise Unavailable(f"{self._name}: not connected")
        return self._connection

    def _check_silence(self) -> None:
        silent_ns = self._clock.monotonic_ns() - self._heard_ns
        if silent_ns > self._silence_ns:
            self.close()
            raise Unavailable(f"{self._name}: connected, but silent for {silent_ns / _SECOND_NS:.0f} s")

    def _gone(self, error: Exception) -> Unavailable:
        self.close()
        return Unavailable(f"{self._name}: the connection is gone: {error}")

    def _refusal(self, error: InvalidStatus) -> Exception:
        status = error.response.status_code
        said = f"{self._name}: cannot connect: HTTP {status}"
        if status in {418, 429}:
            return RateLimited(said, retry_after(error.response.headers.get("Retry-After", ""), self._clock.now()))
        if status in {401, 403}:
            return StationError(f"{said} - the credential is missing, wrong or expired, or this host is barred")
        return Unavailable(said) if status >= 500 else StationError(f"{said} - check the address")
