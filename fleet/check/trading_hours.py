# SPDX-License-Identifier: Apache-2.0
"""The trading hours of every host can be read, leave it time to be changed, and are nobody else's to decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from station.clock import of_datetime
from station.modes.trading_hours import MAINTENANCE, MARKETS, WINDOWS, trading_hours_problems

from fleet.check.roles import located
from fleet.model.model import Fleet
from fleet.model.problems import Problem
from fleet.model.rules import Refusal, Rule, asked
from fleet.model.view import View

# What plays decide, and the file that tells them how.
DECIDED = ("dry_run", "trading_frozen")
HOME = "trading_hours.yml"


def check(fleet: Fleet, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Problem]:
    """Yield what is wrong with the trading hours of each host.

    Args:
        fleet: the inventory.
        now: the clock; a table of sessions that ends soon is a problem, too.
    """
    rule = _rule(of_datetime(now()))
    for host in fleet.hosts:
        for refusal in asked(rule, fleet.settings(host), fleet.options(host), fleet):
            yield _placed(fleet, host, refusal)
    for item in fleet.definitions:
        if item.key in DECIDED and item.place.file.name != HOME:
            wrong = f"a run decides it, group_vars/all/{HOME} says how"
            right = 'remove it; to change a host in its market hours run `make site OVERRIDE="reason"`'
            yield Problem(item.place, item.owner, item.key, wrong, right)


def _rule(now: int) -> Rule:
    def rule(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:  # noqa: ARG001
        for problem in trading_hours_problems(settings, now):
            yield Refusal(re.sub(r"\[(\d+)\]", r".\1", problem.key), problem.wrong, problem.right)

    return rule


def _placed(fleet: Fleet, host: str, refusal: Refusal) -> Problem:
    problem = located(fleet, host, refusal)
    if refusal.key == MAINTENANCE and not _written(fleet, host, MAINTENANCE):
        # The host lacks a window: it is to be added where its markets are named.
        problem = replace(problem, place=fleet.place(host, MARKETS if _written(fleet, host, MARKETS) else WINDOWS))
    return problem


def _written(fleet: Fleet, host: str, key: str) -> bool:
    known = fleet.settings(host)
    return key in known and bool(known.raw(key))
