# SPDX-License-Identifier: Apache-2.0
"""What a user types after `make` reaches the program behind the verb, as typed."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import pytest

PLAYBOOKS = {"check": "site", "site": "site", "drift": "site", "deploy": "deploy"}
ODD = """it's "10:00" `id` $HOME $(id) 100% #1; drained"""


@pytest.mark.parametrize("verb", PLAYBOOKS)
def test_a_limit_reaches_ansible(typed, verb):
    words = typed(verb, "LIMIT=station,ms01").words
    assert words[words.index("--limit") + 1] == "station,ms01"
    assert f"playbooks/{PLAYBOOKS[verb]}.yml" in words


@pytest.mark.parametrize("verb", PLAYBOOKS)
def test_without_a_limit_there_is_none(typed, verb):
    assert "--limit" not in typed(verb).words


def test_the_dry_runs_are_dry_and_the_others_are_not(typed):
    assert {verb: "--check" in typed(verb).words for verb in PLAYBOOKS} == {
        "check": True,
        "site": False,
        "drift": True,
        "deploy": False,
    }


@pytest.mark.parametrize(("verb", "narrowed"), list(product(("check", "verify", "latency"), (True, False))))
def test_an_inventory_with_a_blank_and_a_limit_go_together(typed, clone: Path, tmp_path: Path, verb, narrowed):
    own = tmp_path / "my own fleet"
    shutil.copytree(clone / "inventory/vm", own, symlinks=True)
    typed_words = [verb, f"INVENTORY={own}", *(["LIMIT=vm-hft"] if narrowed else [])]
    words = typed(*typed_words).words
    assert str(own) in words
    assert ("vm-hft" in words) is narrowed


@pytest.mark.parametrize("verb", ["site", "deploy"])
def test_the_reason_of_an_override_arrives_letter_by_letter(typed, verb):
    words = typed(verb, f"OVERRIDE={ODD}").words
    assert words[words.index("--extra-vars") + 1].endswith(f'"{ODD.replace(chr(34), chr(92) + chr(34))}"}}')


def test_the_reason_of_a_halt_arrives_letter_by_letter(typed):
    assert typed("halt", "INVENTORY=inventory/vm", f"REASON={ODD}").words[-1] == ODD


def test_a_halt_keeps_to_its_limit_and_has_no_fleet_by_default(typed):
    assert typed("halt", "INVENTORY=inventory/vm", "LIMIT=ms01").words[3:6] == ["inventory/vm", "--limit", "ms01"]
    outcome = typed("halt")
    assert (outcome.status, outcome.calls) == (2, [])
    assert "say which fleet" in outcome.output


@pytest.mark.parametrize("verb", [*PLAYBOOKS, "check-inventory"])
def test_a_mistyped_inventory_is_refused_with_the_nearest_before_anything_starts(typed, verb):
    outcome = typed(verb, "INVENTORY=inventory/producton")
    assert (outcome.status, outcome.calls) == (2, [])
    assert "did you mean inventory/production?" in outcome.output


@pytest.mark.parametrize("verb", ["lab", "lab-status", "lab-down"])
def test_the_hosts_of_the_lab_are_told_by_the_environment(typed, verb):
    assert typed(verb, "HOSTS=station,ms01").environment["HOSTS"] == "station,ms01"
