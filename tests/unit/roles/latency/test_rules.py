# SPDX-License-Identifier: Apache-2.0
"""What the role latency refuses of its variables."""

from __future__ import annotations

import pytest

from tests.unit.roles.rules_kit import lines, refusals


@pytest.mark.parametrize(
    "change", [{}, {"latency_address": "10.1.2.3"}, {"latency_address": "fd00::1"}, {"latency_address": "ms01.lan"}]
)
def test_sensible_settings_pass(change):
    assert lines("latency", "ms01", **change) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latency_port": 0}, "0 is no port"),
        ({"latency_port": 80}, "80 is no port"),
        ({"latency_port": 70000}, "70000 is no port"),
        ({"latency_repetitions": 0}, "0 is out of range"),
        ({"latency_repetitions": 1000}, "1000 is out of range"),
        ({"latency_address": ""}, "'' is no address of the host"),
        ({"latency_address": "*"}, "'*' is no address of the host"),
        ({"latency_address": "0.0.0.0"}, "0.0.0.0 is no address of one host"),
        ({"latency_address": "::"}, ":: is no address of one host"),
        ({"latency_address": "239.1.1.1"}, "239.1.1.1 is no address of one host"),
        ({"latency_address": "-i lo"}, "'-i lo' is no address of the host"),
        ({"latency_packages": ["rt tests"]}, "'rt tests' is no name of a package"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change, words):
    (refusal,) = refusals("latency", "ms01", **change)
    assert words in refusal.wrong
    assert refusal.variable == next(iter(change))
    assert refusal.right
