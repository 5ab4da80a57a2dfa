# SPDX-License-Identifier: Apache-2.0
"""What the follower tells the recorder, from its thread to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from station.bus.ids import EntryId


@dataclass(slots=True)
class Stored:
    """How much of the journal QuestDB holds. Whoever writes it replaces whole values, so that reading needs no lock.

    Attributes:
        sequence: all records up to it are stored.
        heads: the newest entry of each stream among them.
        trouble: why nothing can be stored at present, "" if it can.
    """

    sequence: int = 0
    heads: Mapping[str, EntryId] = field(default_factory=dict)
    trouble: str = ""
