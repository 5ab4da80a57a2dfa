# SPDX-License-Identifier: Apache-2.0
"""The kill switch: a file that stops every order until a person takes it away.

The latch outlives processes and reboots, needs no bus and no other service, and anything that keeps it from being read
counts as engaged (hummingbot#2534: a check that failed let orders through).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from station.clock import Clock
from station.domain.trading import Order
from station.errors import StationError

FOLDER = Path("/var/lib/station/halt")
FILE = "latch"
RELEASED = "released"  # the latch that was taken away last
_MODE = 0o640
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an order may go out, and if not, why."""

    allowed: bool
    reason: str = ""


class Latch:
    """The file on this host. Engaged if it is there, or if nobody can tell."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._file = folder / FILE

    def allowed(self) -> Decision:
        """Say whether orders may go out now. Never raises: what cannot be read is engaged."""
        try:
            return self._look()
        except Exception as error:  # noqa: BLE001 - a check that fails denies
            return Decision(allowed=False, reason=f"the kill switch in {self._folder} cannot be read: {error}")

    def _look(self) -> Decision:
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.stat(FILE, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return Decision(allowed=True)
        finally:
            os.close(folder)
        return Decision(allowed=False, reason=self.reason())

    def reason(self) -> str:
        """Return who halted why, as far as the latch says it."""
        try:
            last = json.loads(self._file.read_bytes().splitlines()[-1])
            return f"halted by {last['by']}: {last['reason']}"
        except (OSError, ValueError, LookupError, TypeError):
            return "halted; the latch does not say why"

    def engage(self, reason: str, by: str, clock: Clock) -> Decision:
        """Stop every order of this host, whatever it was before.

        Args:
            reason: why, in the words of whoever does it.
            by: who does it.
            clock: tells when.

        Raises:
            StationError: the latch could not be written, and orders still go out.
        """
        line = json.dumps({"at": clock.now(), "by": by, "reason": reason}, sort_keys=True)
        try:
            # An empty file is enough, also on a full disk; what it says comes second.
            os.close(os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, _MODE))
            self._keep_folder()
            self._describe(line)
        except OSError as error:
            if self.allowed().allowed:
                raise StationError(
                    f"{self._file}: {error.strerror}, so orders still go out; run systemctl stop station.target"
                ) from error
        return self.allowed()

    def _describe(self, line: str) -> None:
        # One line a halt. A whole new file takes the old one's place, so that no reader sees half of one.
        before = self._file.read_bytes()
        if before and not before.endswith(b"\n"):
            before += b"\n"
        new = self._file.with_name(f".{FILE}.{os.getpid()}")
        try:
            with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, _MODE), "wb") as file:
                file.write(before + line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
        finally:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
        self._keep_folder()

    def words(self) -> str:
        """Return what a person has to type to let orders out again. Another halt in between makes it other words.

        Raises:
            StationError: nothing is engaged, or the latch cannot be read.
        """
        decision = self.allowed()
        if decision.allowed:
            raise StationError(f"{self._file} does not exist: nothing is halted")
        try:
            content = self._file.read_bytes()
        except OSError as error:
            raise StationError(
                f"{self._file}: {error.strerror}, which counts as halted; mend it first (site.yml makes the folder)"
            ) from error
        return f"let orders out {hashlib.sha256(content).hexdigest()[:6]}"

    def release(self, confirmation: str) -> None:
        """Let orders out again. The latch stays beside its place as evidence of the last halt.

        Args:
            confirmation: the words of `words`.

        Raises:
            StationError: other words, nothing engaged, or the latch cannot be taken away.
        """
        words = self.words()
        if confirmation != words:
            raise StationError(f'"{confirmation}" is not "{words}": still halted')
        try:
            # Not synced: a power cut brings the latch back, which is the safe side.
            self._file.replace(self._folder / RELEASED)
        except OSError as error:
            raise StationError(f"{self._file}: {error.strerror}: still halted; take it away as its owner") from error

    def _keep_folder(self) -> None:
        # The name of a new file is on the disk only when its folder is.
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class OrderGate:
    """The one door for orders. Whoever may send them is given this, never what is behind it."""

    def __init__(self, latch: Latch, on_denied: Callable[[Order], None]) -> None:
        self._latch = latch
        self._on_denied = on_denied

    def admit(self, payload: T) -> T:
        """Return a payload as it may go out: while the switch is engaged a new order is a denied one.

        Everything else passes, so that what happened to an order outside is never lost.
        """
        if not isinstance(payload, Order) or payload.state != "new":
            return payload
        decision = self._latch.allowed()
        # Nothing but a plain yes is a yes.
        if decision.allowed is True:
            return payload
        denied = msgspec.structs.replace(payload, state="denied", reason=decision.reason)
        self._on_denied(denied)
        return denied
