# SPDX-License-Identifier: Apache-2.0
"""A program as a child of ours, with the ways in which it can end or stand still."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

READY_S = 60.0
_POLL_S = 0.02
_LAST_WORDS = 2000  # characters of a log
# Below those that Linux gives to outgoing connections (ip_local_port_range): they take what is free between two starts.
_PORTS = range(15_000, 32_000)
_draw = random.SystemRandom()
_ports_given: set[int] = set()
_ports_lock = Lock()


@dataclass
class Process(ABC):
    """One program.

    Attributes:
        process: the child, None when it is meant to be down.
    """

    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    @abstractmethod
    def log(self) -> Path:
        """Return the file of what it says."""

    @abstractmethod
    def launch(self) -> None:
        """Start the program without waiting for anything."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether it does its work."""

    def start(self) -> None:
        """Start the program and wait until it does its work.

        Raises:
            RuntimeError: it ends, or does not get there; with the last words of its log.
        """
        self.launch()
        try:
            until(self.answers, f"{type(self).__name__} of {self.log.parent} starts", READY_S, self.alive)
        except TimeoutError as error:
            words = self.log.read_text(errors="replace")[-_LAST_WORDS:] if self.log.exists() else "no log"
            raise RuntimeError(f"{error}: {words}") from error

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as systemd does, and return its exit status; 0 if it was not there."""
        return self._end(signal.SIGTERM)

    def stall(self) -> None:
        """Stop it where it stands."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def alive(self) -> bool:
        """Say whether it runs."""
        return self.process is not None and self.process.poll() is None

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        if number != signal.SIGKILL:
            # Stopped where it stands, it would not hear of it.
            process.send_signal(signal.SIGCONT)
        return process.wait(READY_S)

    def _spawn(self, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def until(
    reached: Callable[[], bool], what: str, patience_s: float = READY_S, alive: Callable[[], bool] = lambda: True
) -> float:
    """Wait until something is so, and return the seconds that took.

    Raises:
        TimeoutError: it does not get there, or what should bring it there has ended.
    """
    began = time.monotonic()
    while not reached():
        if not alive():
            raise TimeoutError(f"{what}: it ended")
        if time.monotonic() - began > patience_s:
            raise TimeoutError(f"{what}: not within {patience_s:g} s")
        time.sleep(_POLL_S)
    return time.monotonic() - began


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, another one at each call."""
    with _ports_lock:
        while True:
            port = _draw.choice(_PORTS)
            with socket.socket() as probe, suppress(OSError):
                if port not in _ports_given:
                    probe.bind(("127.0.0.1", port))
                    _ports_given.add(port)
                    return port
