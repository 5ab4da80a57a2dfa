# SPDX-License-Identifier: Apache-2.0
"""How far groups are behind, and whether that is worth an alarm."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from station.bus import ids
from station.bus.alarms import Alarm
from station.bus.ids import EntryId
from station.bus.port import GroupState


def oldest_needed(state: GroupState) -> EntryId:
    """Return the id of the oldest entry that a group has not acknowledged, or may be given next."""
    return ids.parse(state.oldest_pending) if state.oldest_pending else ids.behind(ids.parse(state.delivered))


def backlog(states: Iterable[GroupState]) -> int:
    """Return how many entries the slowest group has not acknowledged; one that cannot tell may lack them all."""
    return max((state.length if state.lag is None else state.lag + state.pending for state in states), default=0)


def alarms(stream: str, states: Collection[GroupState], expected: Collection[str], bound: int) -> list[Alarm]:
    """Return what is wrong with the groups of a stream.

    Args:
        stream: its name.
        states: of all its groups.
        expected: the groups that must be there.
        bound: how many entries a group may be behind.
    """
    found = [
        Alarm("lost_group", stream, group, f"{stream} has no group {group}: it was removed, or its consumer never ran")
        for group in sorted(set(expected) - {state.group for state in states})
    ]
    for state in states:
        behind = backlog([state])
        if behind > state.length or state.pending > state.length:
            text = (
                f"{state.group} lacks {behind} entries of {stream}, which holds {state.length}: trimmed before delivery"
            )
            found.append(Alarm("lost_entries", stream, state.group, text))
        elif behind > bound and state.delivered != state.head:
            found.append(Alarm("lag", stream, state.group, f"{state.group} is {behind} entries behind {stream}"))
    return found
