# SPDX-License-Identifier: Apache-2.0
"""What the lab's services say of themselves: every stream as it stands, and whether history is as it was written."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from fleet.errors import UserError
from lab.containers import tunnel

QUESTIONS = ("status", "journal verify")


def show(host: str, say: Callable[[str], None]) -> None:
    """Ask the services of a host and hand on their answers.

    Args:
        host: name of a host with services.
        say: takes each line.

    Raises:
        UserError: one of the answers is that something is wrong.
    """
    for question in QUESTIONS:
        words = [*tunnel.SSH, host, f"sudo station {question}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).strip().splitlines()
        if done.returncode != 0:
            raise UserError(f"{host}: `station {question}`: {' | '.join(said) or 'no answer'}")
        for line in said:
            say(line)
