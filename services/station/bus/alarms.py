# SPDX-License-Identifier: Apache-2.0
"""What the bus tells a person: that entries are gone, that a group is gone, that somebody does not keep up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

Kind = Literal["lost_group", "lost_entries", "rolled_back", "lag", "dead_letter"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person has to look at."""

    kind: Kind
    stream: str
    group: str
    text: str


Alarms = Callable[[Alarm], None]


def log(alarm: Alarm) -> None:
    """Write an alarm to the service's log."""
    structlog.get_logger().error(alarm.text, alarm=alarm.kind, stream=alarm.stream, group=alarm.group)


def lost_group(stream: str, group: str) -> Alarm:
    """Say that a group had to be made again."""
    text = f"group {group} of {stream} was gone: made again at the beginning, so everything there is delivered again"
    return Alarm("lost_group", stream, group, text)


def lost_entries(stream: str, group: str, entry_ids: Sequence[str]) -> Alarm:
    """Say that entries were removed before the group had acknowledged them."""
    text = f"{len(entry_ids)} entries of {stream} were removed before {group} had them, the first is {entry_ids[0]}"
    return Alarm("lost_entries", stream, group, text)


def rolled_back(stream: str, head: str) -> Alarm:
    """Say that the server came back without what it had confirmed."""
    text = f"{stream} came back at {head}, without what was confirmed after it: published again"
    return Alarm("rolled_back", stream, "", text)
