# SPDX-License-Identifier: Apache-2.0
"""A role's rules see values of the declared type, and say nothing of what the specification refuses already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.rules import Judged, Refusal, asked, rule_of
from fleet.model.settings import UnrenderableError
from fleet.model.view import View

OPTIONS = {
    "store_port": {"type": "int", "default": 5432},
    "store_mode": {"type": "str", "choices": ["safe", "fast"], "default": "safe"},
    "store_users": {"type": "dict", "default": {}},
    "store_name": {"type": "str", "default": "{{ inventory_hostname }}"},
}


class Unknown(dict[str, Any]):
    """Settings one of which needs facts."""

    def __getitem__(self, key: str) -> Any:
        if key == "store_port":
            raise UnrenderableError("store_port: no facts here")
        return super().__getitem__(key)


def port_rule(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:  # noqa: ARG001
    if settings["store_port"] < 1024:
        yield Refusal("store_port", f"{settings['store_port']} is low", "take a higher one")
    if settings["store_mode"] == "safe":
        yield Refusal("store_mode", "is safe", "take fast")


def said(settings: Mapping[str, Any]) -> list[str]:
    return [refusal.key for refusal in asked(port_rule, settings, OPTIONS, None)]  # type: ignore[arg-type]


def test_a_number_in_quotes_is_a_number() -> None:
    assert Judged({"store_port": "80"}, OPTIONS)["store_port"] == 80


def test_what_nothing_sets_is_the_default_and_a_default_that_is_a_template_is_empty() -> None:
    judged = Judged({}, OPTIONS)
    assert judged["store_port"] == 5432
    assert judged["store_name"] == ""
    with pytest.raises(KeyError):
        judged["other"]


@pytest.mark.parametrize("value", ["plenty", [80], {"a": 1}])
def test_nothing_is_said_of_a_value_of_another_type(value: object) -> None:
    assert said({"store_port": value, "store_mode": "fast"}) == []


def test_a_value_that_needs_facts_hides_no_other() -> None:
    assert said(Unknown(store_port=1, store_mode="safe")) == ["store_mode"]


def test_a_value_outside_its_choices_is_the_specifications_to_refuse() -> None:
    assert said({"store_port": 80, "store_mode": "sfae"}) == ["store_port"]


@given(st.dictionaries(st.sampled_from(sorted(OPTIONS)), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_no_value_makes_a_judgement_fail(settings: dict[str, Any]) -> None:
    judged = Judged(settings, OPTIONS)
    assert isinstance(judged["store_port"], int)
    assert judged["store_mode"] in {"safe", "fast"}
    assert isinstance(judged["store_users"], dict)


def test_a_role_without_rules_has_none_and_one_with_a_misspelt_function_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "roles/store").mkdir(parents=True)
    assert rule_of(tmp_path, "store") is None
    (tmp_path / "roles/store/rules.py").write_text("def stroe_problems(settings, hardware, fleet):\n    return []\n")
    with pytest.raises(AttributeError, match="store_problems"):
        rule_of(tmp_path, "store")
