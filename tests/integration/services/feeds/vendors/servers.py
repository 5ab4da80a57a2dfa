# SPDX-License-Identifier: Apache-2.0
"""Servers on loopback, HTTP and websocket, that answer as a vendor does or break in the way that the test orders."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What goes back; `promised` is a length that is announced and not kept."""

    body: bytes = b"[]"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None


def as_json(said: object, status: int = 200, **headers: str) -> Answer:
    """Return an answer of JSON; a header's name is written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(json.dumps(said).encode(), status, {"content-type": "application/json", **named})


def cut(said: object) -> Answer:
    """Return an answer that ends in the middle."""
    whole = json.dumps(said).encode()
    return Answer(whole[: len(whole) // 2], promised=len(whole))


HTML = Answer(b"<html><body><h1>502 Bad Gateway</h1></body></html>", headers={"content-type": "text/html"})


class Rest:
    """An HTTP server: first the faults that the test ordered, one a request, then what the vendor would say."""

    def __init__(self, vendor: Callable[[Asked], Answer]) -> None:
        self.vendor = vendor
        self.faults: deque[Answer] = deque()
        self.asked: list[Asked] = []
        self.url = ""

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return self.faults.popleft() if self.faults else self.vendor(asked)


@contextmanager
def rest(vendor: Callable[[Asked], Answer]) -> Iterator[Rest]:
    """Run an HTTP server on a free port."""
    state = Rest(vendor)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = state.answer(Asked(parts.path, dict(parse_qsl(parts.query)), headers))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(answer.promised or len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = answer.promised is not None

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is what some tests are about."""

    server = Quiet((LOOPBACK, 0), Handler)
    state.url = f"http://{LOOPBACK}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Cut:
    """The network is gone: no closing handshake."""


class HalfMessage:
    """The first part of a message, and then the network is gone."""


class Close:
    """The vendor says goodbye."""


Step = Mapping[str, Any] | str | threading.Event | type[Cut] | type[HalfMessage] | type[Close]


class Stream:
    """A websocket server. Each connection gets the next script; when that is over it stays open and silent.

    A script begins once the client has subscribed: a mapping is sent as JSON, text as it is; an event is waited for.
    """

    def __init__(self) -> None:
        self.scripts: deque[list[Step]] = deque()
        self.refuse: deque[tuple[int, Mapping[str, str]]] = deque()  # HTTP status and headers instead of a connection
        self.subscriptions: list[Any] = []
        self.sent = 0
        self.played = 0  # scripts to their end
        self.holding = False
        self.url = ""
        self.hold = threading.Event()
        self._over = threading.Event()

    def request(self, connection: ServerConnection, _: Request) -> Response | None:
        if not self.refuse:
            return None
        status, headers = self.refuse.popleft()
        answer = connection.respond(status, "no\n")
        for name, value in headers.items():
            answer.headers[name] = value
        return answer

    def serve(self, connection: ServerConnection) -> None:
        script = self.scripts.popleft() if self.scripts else []
        try:
            self.subscriptions.append(json.loads(connection.recv()))
            for step in script:
                if isinstance(step, threading.Event):
                    self.holding = True
                    step.wait()
                    self.holding = False
                    continue
                if not self._perform(connection, step):
                    return
            self.played += 1
            while not self._over.is_set():
                try:
                    connection.recv(timeout=0.05)
                except TimeoutError:
                    continue
        except ConnectionClosed:
            return

    def stop(self) -> None:
        self.hold.set()
        self._over.set()

    def _perform(self, connection: ServerConnection, step: Step) -> bool:
        if step is Cut or step is HalfMessage:
            if step is HalfMessage:
                with connection.send_context():
                    connection.protocol.send_text(b'{"messageType": "A", "serv', fin=False)
            connection.socket.shutdown(socket.SHUT_RDWR)
            return False
        if step is Close:
            connection.close()
            return False
        connection.send(step if isinstance(step, str) else json.dumps(step))
        self.sent += 1
        return True


@contextmanager
def stream() -> Iterator[Stream]:
    """Run a websocket server on a free port."""
    state = Stream()
    with serve(state.serve, LOOPBACK, 0, process_request=state.request, compression=None) as server:
        state.url = f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            state.stop()
            server.shutdown()
            thread.join()
