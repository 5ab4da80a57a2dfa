# SPDX-License-Identifier: Apache-2.0
"""Entry ids `run-sequence` as pairs that can be compared."""

from __future__ import annotations

EntryId = tuple[int, int]
NONE: EntryId = (0, 0)


def parse(text: str) -> EntryId:
    """Return (run, sequence).

    Raises:
        ValueError: it is no entry id.
    """
    run, sequence = text.split("-")
    return int(run), int(sequence)


def spell(entry_id: EntryId) -> str:
    """Return the id as text."""
    return f"{entry_id[0]}-{entry_id[1]}"


def behind(entry_id: EntryId) -> EntryId:
    """Return the smallest id that is greater."""
    return entry_id[0], entry_id[1] + 1
