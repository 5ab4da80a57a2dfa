# SPDX-License-Identifier: Apache-2.0
"""One connection to Redis that answers or is gone: no retry of its own, and errors by what their receiver has to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.connection import UnixDomainSocketConnection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ExecAbortError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from station.errors import StationError, Unavailable

Word = str | bytes | int
_OPEN: Any = UnixDomainSocketConnection  # redis-py has types for its clients, none for its connections
_IDLE_SECONDS = 30  # unused for longer, a connection is asked by PING before anything depends on it
# Answers of a server that will serve again: a full disk, a script that hangs, a load after the start.
_PASSING = ("MISCONF", "BUSY", "LOADING", "NOREPLICAS")


@dataclass(frozen=True, slots=True)
class Server:
    """Where Redis is and who we are to it.

    Attributes:
        socket: the UNIX socket.
        username: of the access list; empty for a server without one.
        timeout: seconds after which an answer is no longer waited for.
    """

    socket: Path
    username: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 5.0


class Wire:
    """A connection that is opened when it is needed and dropped after anything unexpected.

    Attributes:
        life: another number means another connection; whoever keeps state of one compares it.
    """

    def __init__(self, server: Server) -> None:
        self.life = 0
        self._server = server
        self._connection: Any = None

    def ask(self, *commands: Sequence[Word]) -> list[Any]:
        """Send commands in one piece and return their answers; an answer may be a `ResponseError`.

        Raises:
            Unavailable: no connection, or none any more: nobody knows what of it was done.
            StationError: the server does not let us in.
        """
        try:
            connection = self._connection or self._connect()
            connection.send_packed_command(connection.pack_commands(commands))
            return [_answer(connection) for _ in commands]
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
            self.close()
            raise StationError(f"{self._server.socket} refuses user {self._server.username!r}: {error}") from error
        except RedisError as error:
            self.close()
            raise Unavailable(f"redis at {self._server.socket}: {error}") from error
        except BaseException:
            self.close()  # an answer may still be on its way, and would be taken for that of the next question
            raise

    def close(self) -> None:
        """End the connection; the next question opens a new one."""
        self.life += 1
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _connect(self) -> Any:
        self._connection = connection = _OPEN(
            path=str(self._server.socket),
            username=self._server.username or None,
            password=self._server.password or None,
            socket_timeout=self._server.timeout,
            socket_connect_timeout=self._server.timeout,
            health_check_interval=_IDLE_SECONDS,
            protocol=2,
        )
        # Asks by PING, too: a stopped server still accepts connections, and would do later what it is sent now.
        connection.connect()
        return connection


def require(answers: Sequence[Any]) -> list[Any]:
    """Return the answers if none of them is an error.

    Raises:
        Unavailable: the server will take it later, when there is memory or disk again.
        StationError: it never will.
    """
    errors = [answer for answer in answers if isinstance(answer, ResponseError)]
    if errors:
        # An aborted transaction says less than the command that made it abort.
        raise meaning(next((error for error in errors if not isinstance(error, ExecAbortError)), errors[0]))
    return list(answers)


def meaning(error: ResponseError) -> Exception:
    """Return what an error of the server is to us."""
    if isinstance(error, OutOfMemoryError | ReadOnlyError) or str(error).startswith(_PASSING):
        return Unavailable(f"redis takes nothing now: {error}")
    return StationError(f"redis refuses a command: {error}")


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
