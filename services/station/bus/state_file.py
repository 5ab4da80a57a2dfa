# SPDX-License-Identifier: Apache-2.0
"""What a producer remembers beside the bus: the last (run, sequence) that it published, and in which boot of the host.

A process that is killed leaves what it noted with the kernel. After a power cut the file may lack as much as the stream
does, for it reaches the disk behind the publisher's back, once a second, so that no event waits for a disk; but then
the boot tells that the run did not end in order.
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

BOOT = "STATION_BOOT"  # the unit says it, because a service of the station does not see /proc/sys
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FORMAT = b"%020d %020d %36b\n"  # always the same length, within one sector: written in place, never half
_ENDED = "ended"  # stands for the boot of a run that ended in order
_EVERY_SECONDS = 1.0


class StateFile:
    """The file, locked for as long as it is open: nobody else publishes under this name.

    Attributes:
        before: what was published last in the run before, None if the file does not say.
        power_lost: whether the host was started anew before that run had ended.
    """

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
        boot = os.environ.get(BOOT) or _BOOT_ID.read_text().strip()
        self.before, began = _read(self._file)
        self.power_lost = self.before is not None and began not in {boot, _ENDED}
        self._boot = boot
        self._writing = threading.Lock()
        self._newest = self._on_disk = self.before or NONE
        if not self.power_lost:
            # On the disk before the first event: however soon the power goes, it is known that a run had begun.
            self._save(boot)
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write_behind, name=f"state of {path.name}", daemon=True)
        self._writer.start()

    def note(self, entry_id: EntryId) -> None:
        """Remember what was published last."""
        self._newest = entry_id
        with contextlib.suppress(OSError):  # told by who writes behind, which comes to it soon
            self._write(self._boot)

    def close(self) -> None:
        """Write what was noted and that it is the end, and let go of the file."""
        self._ended.set()
        self._writer.join()
        told = self._newest != (self.before or NONE)
        if told or not self.power_lost:
            self._save(_ENDED)
        os.close(self._file)

    def _write_behind(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            if self._newest != self._on_disk:
                self._save(self._boot)

    def _save(self, boot: str) -> None:
        newest = self._newest
        try:
            self._write(boot)
            os.fdatasync(self._file)
        except OSError as error:
            # A full disk must not stop the market: it is tried again, and a loss now would be found less well.
            structlog.get_logger().warning("state not written", file=str(self._path), reason=error.strerror)
        else:
            self._on_disk = newest

    def _write(self, boot: str) -> None:
        # Two threads write, and what is newer must not be overwritten by what is older.
        with self._writing:
            os.pwrite(self._file, _FORMAT % (*self._newest, boot.encode()), 0)


def _read(file: int) -> tuple[EntryId | None, str]:
    """Return what the file says, and the boot in which that was written; None if it says nothing that can be read."""
    with contextlib.suppress(ValueError):
        run, sequence, boot = os.pread(file, 128, 0).split()
        return (int(run), int(sequence)), boot.decode()
    return None, ""
