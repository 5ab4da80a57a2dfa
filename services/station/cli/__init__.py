# SPDX-License-Identifier: Apache-2.0
"""The command `station`: one word for a thing, one for what is done with it.

Exit status 0: it is so. 1: it was looked at, and it is not so. 2: it could not be done.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from station.errors import Conflict, StationError, Unavailable

OK, FOUND, FAILED = 0, 1, 2
# First word -> the module that adds it. Only that one is imported: the kill switch must work whatever else is broken.
PARTS = {
    "config": "config",
    "run": "run",
    "status": "status",
    "halt": "halt",
    "resume": "halt",
    "halted": "halt",
    "journal": "journal",
    "data": "data",
}
STATUSES = """exit status:
  0  it is so: done, clean, nothing found
  1  it was looked at, and it is not so: a mistake, an alteration, a gap, a halt
  2  it could not be done; the line on standard error says what to mend"""


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words of a command line say and return the exit status."""
    words = sys.argv[1:] if words is None else words
    arguments = parser(words[0] if words else "").parse_args(words)
    try:
        found: int = arguments.do(arguments)
        sys.stdout.flush()
    except (StationError, Unavailable, Conflict) as error:
        return _refuse(str(error))
    except BrokenPipeError:
        # Whoever read our output has gone, and Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _refuse("interrupted")
    except OSError as error:
        return _refuse(f"{error.filename or 'the system'}: {error.strerror}")
    return found


def parser(first: str = "") -> argparse.ArgumentParser:
    """Return what reads a command line that begins with a word; with another one, what knows all."""
    top = argparse.ArgumentParser(
        prog="station",
        description="The services of a trading station.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(required=True, metavar="COMMAND")
    for part in [PARTS[first]] if first in PARTS else dict.fromkeys(PARTS.values()):
        import_module(f"station.cli.{part}").add(verbs)
    return top


def _refuse(words: str) -> int:
    sys.stderr.write(f"station: {' '.join(words.split())}\n")
    return FAILED
