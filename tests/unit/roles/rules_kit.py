# SPDX-License-Identifier: Apache-2.0
"""A role's rules asked about a host of the production example, with some variables changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fleet.model import settings
from fleet.model.model import Fleet
from fleet.model.rules import Refusal, asked, rule_of
from fleet.paths import INVENTORIES, PROJECT


@cache
def example() -> Fleet:
    """Return the production example with the example's secrets."""
    return Fleet.load(INVENTORIES / "production", PROJECT, INVENTORIES / "secrets.yml.example")


class Changed(Mapping[str, Any]):
    """A host's variables with some of them changed."""

    def __init__(self, known: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        self._known, self._changes = known, changes

    def __getitem__(self, key: str) -> Any:
        return self._changes[key] if key in self._changes else self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter({*self._known, *self._changes})

    def __len__(self) -> int:
        return len({*self._known, *self._changes})


class Told:
    """The example as rules see it, with some variables of one host changed."""

    def __init__(self, host: str, changes: Mapping[str, Any]) -> None:
        self._fleet, self._host, self._changes = example(), host, changes
        self.members = self._fleet.members

    def roles(self, host: str) -> tuple[str, ...]:
        return self._fleet.roles(host)

    def settings(self, host: str) -> Mapping[str, Any]:
        known = self._fleet.settings(host)
        return Changed(known, self._changes) if host == self._host else known

    def declared(self, noun: str, host: str) -> dict[str, Any]:
        options = {role: self._fleet.project.role(role).options for role in self.roles(host)}
        return settings.declared(noun, options, self.settings(host))


def refusals(role: str, host: str = "station", **changes: Any) -> list[Refusal]:
    """Return what a role refuses on a host of the example whose variables are changed.

    Args:
        role: its name; the host has it.
        host: of inventory/production.
        changes: variables by name.
    """
    rule = rule_of(PROJECT, role)
    assert rule is not None, f"roles/{role} has no rules.py"
    fleet = example()
    assert role in fleet.roles(host)
    told = Told(host, changes)
    return list(asked(rule, told.settings(host), fleet.options(host), told))


def lines(role: str, host: str = "station", **changes: Any) -> list[str]:
    """Return the same as `refusals`, in words."""
    return [str(refusal) for refusal in refusals(role, host, **changes)]
