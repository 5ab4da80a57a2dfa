# SPDX-License-Identifier: Apache-2.0
"""Run a command on this host: in English, without questions, and never with an exception."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ENGLISH = {"LC_ALL": "C", "SYSTEMD_COLORS": "0", "DEBIAN_FRONTEND": "noninteractive"}
TIMED_OUT, NOT_STARTED = 124, 127


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit status, 124 when it took too long, 127 when it could not start; and its output."""

    status: int
    out: str = ""
    err: str = ""

    @property
    def said(self) -> str:
        """The last three lines of both outputs in one, or the exit status when there is none."""
        lines = [line.strip() for line in f"{self.out}\n{self.err}".splitlines() if line.strip()]
        return " | ".join(lines[-3:]) or f"exit status {self.status}"


def run(words: Sequence[str], seconds: float | None = None, environment: Mapping[str, str] | None = None) -> Done:
    """Run a command and wait for its end.

    Args:
        words: the command and its arguments.
        seconds: when to end it, None for never.
        environment: variables beside those of this process.
    """
    try:
        done = subprocess.run(
            list(words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env={**os.environ, **ENGLISH, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Done(TIMED_OUT, err=f"{words[0]}: no end within {seconds:.0f} s")
    except OSError as error:
        return Done(NOT_STARTED, err=f"{words[0]}: {error.strerror}")
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
