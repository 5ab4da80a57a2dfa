# SPDX-License-Identifier: Apache-2.0
"""What the role anchor refuses of its variables and of the journals that it is for."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.model.rules import Refusal, asked, rule_of
from fleet.paths import PROJECT
from tests.unit.roles.rules_kit import Changed, example, lines, refusals


class Others:
    """The example's fleet with some variables of some hosts changed."""

    def __init__(self, **changes: dict[str, Any]) -> None:
        self._changes = changes
        self.members = example().members

    def roles(self, host: str) -> tuple[str, ...]:
        return example().roles(host)

    def settings(self, host: str) -> Changed:
        return Changed(example().settings(host), self._changes.get(host, {}))

    def declared(self, noun: str, host: str) -> dict[str, Any]:
        known = self.settings(host)
        names = {role: f"{role}_{noun}" for role in self.roles(host)}
        return {role: known[name] for role, name in names.items() if name in known}


def judged(host: str, **changes: dict[str, Any]) -> list[Refusal]:
    fleet, rule = Others(**changes), rule_of(PROJECT, "anchor")
    assert rule is not None
    return list(asked(rule, fleet.settings(host), example().options(host), fleet))


@pytest.mark.parametrize("host", ["station", "aibox"])
def test_the_example_passes(host: str) -> None:
    assert lines("anchor", host) == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"anchor_port": 0}, "anchor_port", "the anchor listens nowhere"),
        ({"anchor_port": 70_000}, "anchor_port", "70000 is no port"),
        ({"anchor_group": "two words"}, "anchor_group", "no name of an account"),
        ({"anchor_group": "root"}, "anchor_group", "would keep nobody out"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change: dict[str, Any], key: str, words: str) -> None:
    (refusal,) = refusals("anchor", "aibox", **change)
    assert (refusal.key, words in refusal.wrong) == (key, True), refusal


def test_an_anchor_for_no_journal_is_refused() -> None:
    (refusal,) = judged("aibox", station={"services_journal_keys": []})
    assert (refusal.key, refusal.wrong) == ("anchor_port", "no host has a journal with a key")


def test_a_host_with_a_journal_has_an_address_that_the_port_may_open_to() -> None:
    (refusal,) = judged("aibox", station={"ansible_host": "station.example"})
    assert (refusal.host, refusal.key) == ("station", "ansible_host")
    assert "'station.example' is no IPv4 address" in refusal.wrong


def test_names_do_not_matter_where_no_port_is_open() -> None:
    assert judged("station", station={"ansible_host": "station.example"}) == []
