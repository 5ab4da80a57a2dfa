# SPDX-License-Identifier: Apache-2.0
"""What the role node_exporter refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.rules_kit import lines, refusals


def test_the_example_passes() -> None:
    assert lines("node_exporter", host="vps") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"node_exporter_address": "0.0.0.0"}, "'0.0.0.0' is every address of the host"),
        ({"node_exporter_address": "::"}, "'::' is every address"),
        ({"node_exporter_disabled_collectors": ["systemd"]}, "systemd is in node_exporter_collectors too"),
        ({"node_exporter_textfile": "metrics"}, "no absolute path"),
        ({"node_exporter_textfile": "/srv/../etc"}, "no absolute path"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_its_key(change: dict[str, Any], words: str) -> None:
    (refusal,) = refusals("node_exporter", host="vps", **change)
    assert words in refusal.wrong
    assert refusal.key == next(iter(change))
