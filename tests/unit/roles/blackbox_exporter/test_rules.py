# SPDX-License-Identifier: Apache-2.0
"""What the role blackbox_exporter refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.rules_kit import lines, refusals


def test_the_example_passes() -> None:
    assert lines("blackbox_exporter") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blackbox_exporter_address": "0.0.0.0"}, "every address"),
        ({"blackbox_exporter_port": 80}, "is no port that its unit may open"),
        ({"blackbox_exporter_timeout_seconds": 0}, "0 s leave a probe no time"),
        ({"blackbox_exporter_timeout_seconds": 10}, "10 s leave a probe no time"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_its_key(change: dict[str, Any], words: str) -> None:
    (refusal,) = refusals("blackbox_exporter", **change)
    assert words in refusal.wrong
    assert refusal.variable == next(iter(change))
