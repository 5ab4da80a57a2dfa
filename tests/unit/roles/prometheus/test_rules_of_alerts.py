# SPDX-License-Identifier: Apache-2.0
"""Every alert of the repository says what to do, fires in one of its tests and is silent in another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from fleet.paths import PROJECT

RULES = sorted(PROJECT.glob("roles/*/alerts/*.yml"))
RULE_TESTS = sorted(PROJECT.glob("tests/unit/roles/*/alerts/*.yml"))
WORDS = {"abs", "and", "by", "group_left", "increase", "offset", "on", "or", "predict_linear", "rate", "time", "unless"}


def rules_of(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]
    return {rule["alert"]: rule for document in documents for group in document["groups"] for rule in group["rules"]}


def test_every_rule_says_how_bad_it_is_and_what_to_do():
    for name, rule in rules_of(RULES).items():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert rule["annotations"].keys() == {"summary", "description", "action"}, name


def untested(rules: dict[str, dict[str, Any]], files: list[dict[str, Any]]) -> dict[str, str]:
    """Rules that no test makes fire, or whose metrics are missing from the healthy series."""
    fired, healthy = set(), set()
    for case in (case for file in files for case in file["tests"]):
        for check in case["promql_expr_test"]:
            fired |= set(re.findall(r'alertname="(\w+)"', " ".join(s["labels"] for s in check["exp_samples"])))
        # A case without any alert, not even a pending one.
        if [c["expr"] for c in case["promql_expr_test"]] == ["ALERTS"]:
            healthy |= {series["series"].split("{")[0] for series in case["input_series"]}
    problems = dict.fromkeys(rules.keys() - fired, "no test makes it fire")
    for name, rule in rules.items():
        bare = re.sub(r"\{.*?\}|\(instance[^)]*\)|\[.*?\]|\".*?\"", "", rule["expr"])
        missing = set(re.findall(r"\b[a-z_]{2,}\b", bare)) - WORDS - healthy
        if missing:
            problems.setdefault(name, f"no healthy series of {', '.join(sorted(missing))}")
    return problems


def test_every_rule_has_a_test_in_which_it_fires_and_one_in_which_it_does_not():
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULE_TESTS]
    assert untested(rules_of(RULES), files) == {}


def test_a_rule_without_a_test_is_found():
    rule = {"expr": "some_metric > 0"}
    series, fired = [{"series": "some_metric"}], [{"labels": '{alertname="A"}'}]
    fires = {"input_series": series, "promql_expr_test": [{"expr": "x", "exp_samples": fired}]}
    silent = {"input_series": series, "promql_expr_test": [{"expr": "ALERTS", "exp_samples": []}]}
    assert untested({"A": rule}, [{"tests": [fires, silent]}]) == {}
    assert untested({"A": rule}, [{"tests": [silent]}]) == {"A": "no test makes it fire"}
    assert untested({"A": rule}, [{"tests": [fires]}]) == {"A": "no healthy series of some_metric"}
