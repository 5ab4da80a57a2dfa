# SPDX-License-Identifier: Apache-2.0
"""The kinds of services."""

from __future__ import annotations

from collections.abc import Mapping

from station.config.agents import AgentService
from station.config.feeds import FeedService
from station.config.recorder import RecorderService

AnyService = FeedService | AgentService | RecorderService
KINDS: Mapping[str, type[FeedService] | type[AgentService] | type[RecorderService]] = {
    "feed": FeedService,
    "agent": AgentService,
    "recorder": RecorderService,
}
