# SPDX-License-Identifier: Apache-2.0
"""The anchor's real program behind sockets, started for each connection as systemd does with Accept=yes."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from station.journal.chain import Head
from station.journal.checkpoint import Checkpoint, Signer, VerifierKey, origin_of

from fleet.paths import PROJECT
from tests.unit.services.journal.journal_kit import CHAIN_ID, SIGNER

PROGRAM = PROJECT / "roles" / "anchor" / "files" / "anchor.py"


def note(size: int, digest: bytes = b"h", signer: Signer = SIGNER, chain_id: bytes = CHAIN_ID) -> bytes:
    origin = origin_of(signer.verifier.name, chain_id)
    return signer.sign(Checkpoint(origin, Head(size, digest.ljust(32, b"."))).text())


class Store:
    """What an anchor has on its disk.

    Attributes:
        file: with the notes of `SIGNER`'s journal.
        words: the command line of the program.
    """

    def __init__(self, folder: Path, *keys: VerifierKey) -> None:
        self.keys, self.folder = folder / "anchor.keys", folder / "checkpoints"
        self.folder.mkdir()
        self.keys.write_text("".join(f"{key.text()}\n" for key in keys or (SIGNER.verifier,)))
        self.file = self.folder / "station.example%2Fjournal"
        self.words = [sys.executable, "-I", str(PROGRAM), str(self.keys), str(self.folder)]

    def ask(self, request: bytes) -> tuple[int, str]:
        """Return exit status and answer."""
        done = subprocess.run(self.words, input=request, capture_output=True, check=False)
        assert done.stderr == b""
        return done.returncode, done.stdout.decode().strip()

    @contextmanager
    def listening(self, path: Path | None = None) -> Iterator[str]:
        """Yield the place where it listens: a path, or a port of the loopback address."""
        words = self.words

        class Handler(socketserver.BaseRequestHandler):
            request: socket.socket

            def handle(self) -> None:
                number = self.request.fileno()
                subprocess.run(words, stdin=number, stdout=number, check=False)

        server: socketserver.BaseServer
        if path:
            server, place = socketserver.ThreadingUnixStreamServer(str(path), Handler), str(path)
        else:
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
            place = f"127.0.0.1:{server.server_address[1]}"
        with server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield place
            finally:
                server.shutdown()
                thread.join()
