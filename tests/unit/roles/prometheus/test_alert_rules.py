# SPDX-License-Identifier: Apache-2.0
"""The alert rules of all roles become one file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from fleet.paths import PROJECT
from roles.prometheus.filter_plugins.alert_rules import alert_rules


def names(rules: dict[str, list[dict[str, object]]]) -> list[object]:
    return [group["name"] for group in rules["groups"]]


def test_every_role_with_alerts_is_in_it() -> None:
    files = sorted(PROJECT.glob("roles/*/alerts/*.yml"))
    wanted = [group["name"] for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert names(alert_rules(str(PROJECT / "roles/prometheus"), [])) == wanted
    assert len(wanted) >= len(files) > 1


def test_files_of_the_inventory_come_last(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("groups: [{name: own, rules: []}]\n")
    assert names(alert_rules(str(PROJECT / "roles/prometheus"), [str(tmp_path / "own.yml")]))[-1] == "own"


@pytest.mark.parametrize("text", ["", "groups", "[1", "other: 1\n"])
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yml").write_text(text)
    with pytest.raises(AnsibleFilterError, match=r"own\.yml is no rule file"):
        alert_rules(str(PROJECT / "roles/prometheus"), [str(tmp_path / "own.yml")])


def test_a_folder_without_any_alerts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prometheus").mkdir()
    with pytest.raises(AnsibleFilterError, match="nothing would alert"):
        alert_rules(str(tmp_path / "prometheus"), [])
