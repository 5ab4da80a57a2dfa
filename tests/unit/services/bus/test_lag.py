# SPDX-License-Identifier: Apache-2.0
"""From the state of groups to alarms."""

from __future__ import annotations

from typing import Any

import pytest
from station.bus import lag
from station.bus.port import GroupState

STREAM = "md:replay"


def state(**changes: Any) -> GroupState:
    """Return a group that has everything, in a stream of ten."""
    fields: dict[str, Any] = {
        "stream": STREAM,
        "group": "journal",
        "length": 10,
        "head": "5-10",
        "delivered": "5-10",
        "pending": 0,
        "oldest_pending": "",
        "lag": 0,
    }
    return GroupState(**fields | changes)


def kinds(*states: GroupState, bound: int = 5) -> list[str]:
    return [alarm.kind for alarm in lag.alarms(STREAM, states, {"journal"}, bound)]


def test_a_group_that_keeps_up_raises_nothing():
    assert kinds(state()) == []
    assert kinds(state(delivered="5-5", lag=5)) == []
    assert kinds(state(pending=5, oldest_pending="5-6")) == []


def test_a_group_behind_the_bound_is_told_with_how_far_it_is_behind():
    [alarm] = lag.alarms(STREAM, [state(delivered="5-4", lag=4, pending=2, oldest_pending="5-3")], {"journal"}, 5)
    assert (alarm.kind, alarm.text) == ("lag", "journal is 6 entries behind md:replay")


# facts: 1,000 entries, 300 of them read, then XTRIM MAXLEN 100: redis 7.0.15 says length 100, pending 300, lag 700.
def test_more_missing_than_the_stream_holds_was_trimmed_before_delivery():
    trimmed = state(length=100, delivered="5-300", pending=300, oldest_pending="5-1", lag=700)
    [alarm] = lag.alarms(STREAM, [trimmed], {"journal"}, 5000)
    assert alarm.kind == "lost_entries"
    assert "lacks 1000 entries of md:replay, which holds 100" in alarm.text


def test_pending_entries_alone_can_show_a_trim_when_the_server_cannot_tell_the_lag():
    assert kinds(state(length=3, pending=4, oldest_pending="5-1", lag=None), bound=100) == ["lost_entries"]


def test_a_lag_that_nobody_knows_counts_as_everything():
    assert kinds(state(delivered="5-3", lag=None), bound=5) == ["lag"]
    assert kinds(state(delivered="5-3", lag=None), bound=10) == []
    assert kinds(state(lag=None), bound=5) == []  # it was given the newest


def test_a_group_that_is_not_there_is_lost():
    [alarm] = lag.alarms(STREAM, [state(group="risk")], {"journal", "risk"}, 5)
    assert (alarm.kind, alarm.group) == ("lost_group", "journal")


@pytest.mark.parametrize(
    ("states", "backlog"),
    [([], 0), ([state()], 0), ([state(lag=3, pending=2), state(lag=1)], 5), ([state(lag=None), state(lag=9)], 10)],
)
def test_the_backlog_is_that_of_the_slowest_group(states: list[GroupState], backlog: int):
    assert lag.backlog(states) == backlog


def test_the_oldest_entry_needed_is_the_oldest_pending_or_the_next_one():
    assert lag.oldest_needed(state(oldest_pending="5-3")) == (5, 3)
    assert lag.oldest_needed(state(delivered="5-7")) == (5, 8)
    assert lag.oldest_needed(state(delivered="0-0")) == (0, 1)
