# SPDX-License-Identifier: Apache-2.0
"""What the role firmware_check refuses of its variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.firmware_check.filter_plugins.firmware_report import SWITCHES
from tests.unit.roles.rules_kit import lines


def test_the_example_passes() -> None:
    assert lines("firmware_check", host="ms01") == []


@pytest.mark.parametrize(
    ("item", "value", "right"),
    [
        ("memory_mts", 0, "write a number of MT/s"),
        ("microcode_minimum", "43b", "write a revision such as 0x43b"),
        ("link_width", {"1:0": 16}, "write PCI address: lanes"),
        ("link_width", {"0000:01:00.0": 3}, "a link has 1, 2, 4, 8, 12, 16, 32 lanes"),
        ("link_speed_gts", {"0000:01:00.0": "16"}, "write PCI address: GT/s"),
    ],
)
def test_what_cannot_be_wanted_is_named_with_what_would_be_right(item: str, value: object, right: str) -> None:
    (line,) = lines("firmware_check", host="ms01", firmware_check_wanted={"turbo": True, item: value})
    assert line.startswith(f"firmware_check_wanted.{item}: {value!r} cannot be")
    assert right in line


def test_a_menu_path_for_no_item_is_named() -> None:
    (line,) = lines("firmware_check", host="ms01", firmware_check_menu_paths={"smt": "a", "smpt": "b"})
    assert line == "firmware_check_menu_paths.smpt: there is no such item; did you mean smt?"


@given(st.dictionaries(st.sampled_from(SWITCHES), st.sampled_from([True, False, "on", "off", "Yes", "no"])))
def test_every_way_to_write_a_switch_is_accepted(wanted: dict[str, object]) -> None:
    assert lines("firmware_check", host="ms01", firmware_check_wanted=wanted) == []
