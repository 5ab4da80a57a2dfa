# SPDX-License-Identifier: Apache-2.0
"""Where tables are printed: as wide as the terminal, or wide enough when a file or CI takes the output."""

from __future__ import annotations

from rich.console import Console

WIDTH_IN_A_FILE = 140


def console() -> Console:
    """Return a console on standard output."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH_IN_A_FILE)
