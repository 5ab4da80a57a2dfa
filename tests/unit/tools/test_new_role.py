# SPDX-License-Identifier: Apache-2.0
"""The skeleton of a role is whole, marked where it must be filled, and never written over what is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from fleet.errors import UserError
from fleet.paths import PROJECT
from tools.new_role import Wish, planned

WISH = Wish("tape_recorder", "tape", "monitoring")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return {str(file.relative_to(PROJECT)): text for file, text in planned(WISH, PROJECT).items()}


def test_it_has_what_every_role_has(files: dict[str, str]) -> None:
    role = {path.removeprefix("roles/tape_recorder/") for path in files if path.startswith("roles/")}
    assert {"meta/argument_specs.yml", "defaults/main.yml", "rules.py", "tasks/main.yml", "tasks/preflight.yml"} <= role
    assert {"alerts/tape_recorder.yml", "templates/tape-recorder.service.j2"} <= role
    assert "tests/host/test_tape_recorder.py" in files
    assert "tests/unit/roles/tape_recorder/test_rules.py" in files


def test_yaml_and_python_can_be_read(files: dict[str, str]) -> None:
    for path, text in files.items():
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith(".yml"):
            yaml.safe_load(text)


def test_defaults_and_specification_name_the_same_variables(files: dict[str, str]) -> None:
    specification = yaml.safe_load(files["roles/tape_recorder/meta/argument_specs.yml"])
    defaults = yaml.safe_load(files["roles/tape_recorder/defaults/main.yml"])
    assert specification["argument_specs"]["main"]["options"].keys() == defaults.keys()


def test_play_group_and_coverage_are_added_and_nothing_else_changes(files: dict[str, str]) -> None:
    plays = yaml.safe_load(files["playbooks/monitoring.yml"])
    # Behind the other plays, before the one that reports.
    own = plays.pop(-2)
    assert plays == yaml.safe_load((PROJECT / "playbooks/monitoring.yml").read_text())
    assert own["hosts"] == "tape"
    assert [(role["role"], role["check_mode"]) for role in own["roles"]] == [("tape_recorder", "{{ dry_run }}")]
    for inventory in ("production", "lab"):
        children = yaml.safe_load(files[f"inventory/{inventory}/hosts.yml"])["all"]["children"]
        assert children.pop("tape") == {"hosts": {"station": None}}
        before = yaml.safe_load((PROJECT / f"inventory/{inventory}/hosts.yml").read_text())["all"]["children"]
        assert children == before
    coverage = yaml.safe_load(files["docs/reference/coverage.yml"])
    del coverage["roles"]["tape_recorder"]
    assert coverage == yaml.safe_load((PROJECT / "docs/reference/coverage.yml").read_text())


def test_the_skeleton_fails_until_it_is_filled(files: dict[str, str]) -> None:
    assert "FILL:" in files["roles/tape_recorder/defaults/main.yml"]
    assert "test_the_role_is_written" in files["tests/unit/roles/tape_recorder/test_rules.py"]


def test_a_known_group_is_left_as_it_is() -> None:
    found = planned(Wish("tape_recorder", "monitoring", "monitoring"), PROJECT)
    hosts = PROJECT / "inventory/production/hosts.yml"
    assert found[hosts] == hosts.read_text()


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish("Tape", "tape", "monitoring"), "NAME=Tape: write lower-case letters"),
        (Wish("../tape", "tape", "monitoring"), "write lower-case letters"),
        (Wish("redis", "redis", "data"), "roles/redis is there already"),
        (Wish("tape", "tape", "monitor"), "there is no playbooks/monitor.yml, only base, "),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(wish: Wish, words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        planned(wish, PROJECT)
    assert "\n" not in str(raised.value)


def test_planning_writes_nothing(files: dict[str, str]) -> None:
    assert files
    assert not Path(PROJECT / "roles/tape_recorder").exists()
