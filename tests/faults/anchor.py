# SPDX-License-Identifier: Apache-2.0
"""Another host of the fleet, as far as the journal sees it: the role's anchor program behind a socket."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from station.journal.checkpoint import VerifierKey

from fleet.paths import PROJECT

PROGRAM = PROJECT / "roles" / "anchor" / "files" / "anchor.py"


class AnchorHost:
    """Answers on a socket by running the program for each connection, as its socket unit does.

    Attributes:
        socket: where it is reached.
        kept: the file of checkpoints.
    """

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        """Set it up.

        Args:
            folder: is made.
            key: of the journal whose checkpoints it keeps.
        """
        folder.mkdir()
        (folder / "keys").write_text(f"{key.text()}\n")
        self._folder = folder
        self.socket, self.kept = folder / "anchor.sock", folder / quote(key.name, safe="")
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Be reachable."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.socket))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, args=[self._listener], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be gone, as when the network between the two is cut."""
        if self._listener is None or self._thread is None:
            return
        self.socket.unlink()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._listener = None

    def _serve(self, listener: socket.socket) -> None:
        # The listener is shut down to end this.
        with suppress(OSError):
            while True:
                channel, _ = listener.accept()
                with channel:
                    words = [sys.executable, "-I", str(PROGRAM), str(self._folder / "keys"), str(self._folder)]
                    way = channel.fileno()
                    subprocess.run(words, stdin=way, stdout=way, check=False)
