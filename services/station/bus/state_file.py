# SPDX-License-Identifier: Apache-2.0
"""What a producer remembers beside the bus: the last (run, sequence) that it published.

After a power cut the stream may have lost its end, and this says how much. It is written behind the publisher's back,
once a second, so that no event waits for a disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path

import structlog

from station.bus.ids import NONE, EntryId
from station.errors import StationError

_FORMAT = b"%020d %020d\n"  # always the same length, within one sector: written in place, never half
_EVERY_SECONDS = 1.0


class StateFile:
    """The file, locked for as long as it is open: nobody else publishes under this name."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it.

        Raises:
            StationError: it cannot be written, or another process has it.
        """
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise StationError(f"{path} is in use: another process publishes as this service, stop it first") from None
        except OSError as error:
            raise StationError(
                f"cannot keep {path}: {error.strerror}; make the folder, or let this user write"
            ) from error
        self.before = _read(self._file)
        self._newest = self._written = self.before or NONE
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write_behind, name=f"state of {path.name}", daemon=True)
        self._writer.start()

    def note(self, entry_id: EntryId) -> None:
        """Remember what was published last."""
        self._newest = entry_id

    def close(self) -> None:
        """Write what was noted, and let go of the file."""
        self._ended.set()
        self._writer.join()
        os.close(self._file)

    def _write_behind(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        newest = self._newest
        if newest == self._written:
            return
        try:
            os.pwrite(self._file, _FORMAT % newest, 0)
            os.fdatasync(self._file)
        except OSError as error:
            # A full disk must not stop the market: it is tried again, and a loss now would be found less well.
            structlog.get_logger().warning("state not written", file=str(self._path), reason=error.strerror)
        else:
            self._written = newest


def _read(file: int) -> EntryId | None:
    """Return what the file says; None if it says nothing that can be read."""
    with contextlib.suppress(ValueError):
        run, sequence = os.pread(file, 64, 0).split()
        return int(run), int(sequence)
    return None
