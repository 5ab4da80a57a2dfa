# SPDX-License-Identifier: Apache-2.0
"""Mitogen is used with the pairs that support each other, and never required."""

from __future__ import annotations

from importlib import metadata

import pytest

from fleet.run import mitogen


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the versions that seem to be installed, to be filled by the test."""
    versions: dict[str, str] = {}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.delenv("ANSIBLE_STRATEGY", raising=False)
    return versions


@pytest.mark.parametrize(
    ("core", "plugin", "used"),
    [
        ("2.19.0", "0.3.25", True),
        ("2.19.14", "0.3.54", True),
        ("2.19.14", "0.3.24", False),
        ("2.20.1", "0.3.32", False),
        ("2.20.1", "0.3.33", True),
        ("2.21.5", "0.3.48", False),
        ("2.21.5", "0.4.0", True),
        ("2.21.0rc1", "0.3.49", True),
        ("2.18.9", "0.3.54", False),
        ("2.22.0", "0.3.54", False),
    ],
)
def test_only_a_pair_that_supports_each_other_is_used(installed: dict[str, str], core: str, plugin: str, used: bool):
    installed |= {"ansible-core": core, "mitogen": plugin}
    assert (mitogen.variables().get("ANSIBLE_STRATEGY") == "mitogen_linear") is used


def test_without_mitogen_ansible_runs_by_itself(installed: dict[str, str]):
    installed |= {"ansible-core": "2.19.14"}
    assert mitogen.variables() == {}


def test_a_strategy_that_the_user_chose_is_left_alone(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    installed |= {"ansible-core": "2.19.14", "mitogen": "0.3.54"}
    monkeypatch.setenv("ANSIBLE_STRATEGY", "linear")
    assert mitogen.variables() == {}
