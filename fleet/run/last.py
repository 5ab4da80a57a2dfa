# SPDX-License-Identifier: Apache-2.0
"""What the last runs said of the lab's hosts, kept for `make lab-status`: each run writes over what it did again."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.paths import LAB_INVENTORY, LAB_STATE

RECORD = "state.json"


@dataclass(frozen=True)
class Word:
    """What a run said of a host, and when, in seconds since the epoch."""

    text: str
    at: float


def read(folder: Path = LAB_STATE) -> dict[str, dict[str, Word]]:
    """Return {host: {layer or verb: word}}; empty where nothing was kept, or in another form."""
    try:
        kept = json.loads((folder / RECORD).read_text())
        return {host: {what: Word(**word) for what, word in words.items()} for host, words in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def keep(inventory: Path, said: Mapping[str, Mapping[str, str]], folder: Path = LAB_STATE) -> None:
    """Keep what a run said, if it was a run on the lab.

    Args:
        inventory: of the run.
        said: {host: {layer or verb: text}}.
        folder: where the lab keeps its state.
    """
    if inventory.resolve() != LAB_INVENTORY.resolve() or not folder.is_dir():
        return
    kept, now = read(folder), time.time()
    for host, words in said.items():
        kept.setdefault(host, {}).update({what: Word(text, now) for what, text in words.items()})
    plain = {host: {what: asdict(word) for what, word in words.items()} for host, words in kept.items()}
    # The state of a lab that root started is root's; who runs as another user keeps nothing.
    with contextlib.suppress(PermissionError):
        (folder / RECORD).write_text(json.dumps(plain, indent=1))
