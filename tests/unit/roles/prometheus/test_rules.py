# SPDX-License-Identifier: Apache-2.0
"""What the role prometheus refuses of its variables and of what all roles declare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.rules_kit import lines, refusals


def test_the_example_passes() -> None:
    assert lines("prometheus") == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("prometheus_address", "0.0.0.0", "every address of the host"),
        ("prometheus_address", "::", "every address of the host"),
        ("prometheus_address", "[::]", "every address of the host"),
        ("prometheus_address", "*", "every address of the host"),
        ("prometheus_address", "", "every address of the host"),
        ("prometheus_address", "localhost", "neither a loopback address"),
        ("prometheus_address", "10.10.0.99", "nor the host's own, 10.10.0.10"),
        ("prometheus_port", 80, "80 is no port"),
        ("prometheus_port", 0, "0 is no port"),
        ("prometheus_data_directory", "metrics", "not a plain absolute path"),
        ("prometheus_data_directory", "/tmp/metrics", "hidden from the unit"),
        ("prometheus_retention_time", "long", "'long' is no duration"),
        ("prometheus_retention_time", "a month", "is no duration"),
        ("prometheus_retention_time", "30", "is no duration"),
        ("prometheus_retention_time", "", "is no duration"),
        ("prometheus_retention_time", "1.5d", "is no duration"),
        ("prometheus_scrape_interval", "15", "is no duration"),
        ("prometheus_retention_size", "10 gigs", "is no size"),
        ("prometheus_retention_size", "10", "is no size"),
        ("prometheus_external_labels", {"fleet-name": "a"}, "is no name of a label"),
        ("prometheus_external_labels", {"fleet": 1}, "1 is no text"),
        ("prometheus_rule_files", ["/nowhere/rules.yml"], "there is no file /nowhere/rules.yml"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(key: str, value: Any, words: str) -> None:
    (refusal,) = refusals("prometheus", **{key: value})
    assert (refusal.variable, words in refusal.wrong) == (key, True), refusal
    assert refusal.right


def test_what_prometheus_takes_is_taken(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("groups: []\n")
    changes: dict[str, Any] = {
        "prometheus_address": "10.10.0.10",
        "prometheus_retention_time": "1y6w",
        "prometheus_retention_size": "512MB",
        "prometheus_external_labels": {"fleet": "a"},
        "prometheus_rule_files": [str(tmp_path / "rules.yml")],
    }
    assert lines("prometheus", **changes) == []


def test_a_target_that_two_roles_declare_is_refused_with_both() -> None:
    (refusal,) = refusals("prometheus", prometheus_scrape=[{"job": "other", "port": 9100, "scope": "host"}])
    assert (refusal.key, refusal.host) == ("prometheus_scrape", "station")
    assert "endpoint 10.10.0.10:9100 is declared by node_exporter_scrape of station too" in refusal.wrong
