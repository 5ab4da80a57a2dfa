# SPDX-License-Identifier: Apache-2.0
"""The checks of an inventory; each module has `check(fleet)`, which yields what is wrong."""

from __future__ import annotations

from fleet.check import addresses, cpu_isolation, cpu_lists, groups, names, owners, roles, trading_hours, values, vault
from fleet.model.model import Fleet
from fleet.model.problems import Problem, merged

CHECKS = (names, values, cpu_lists, cpu_isolation, owners, groups, addresses, vault, trading_hours, roles)


def problems(fleet: Fleet) -> list[Problem]:
    """Return everything that is wrong with an inventory, unreadable files first."""
    found: list[Problem] = []
    for module in CHECKS:
        found.extend(module.check(fleet))
    return [*fleet.problems, *merged(found)]
