# SPDX-License-Identifier: Apache-2.0
"""A package's own unit, which listens on every address, never runs: the role's is there before the package."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from fleet.paths import PROJECT

OWN = {
    "alertmanager": ("prometheus-alertmanager.service", "prometheus-alertmanager"),
    "node_exporter": ("prometheus-node-exporter.service", "prometheus-node-exporter"),
    "prometheus": ("prometheus.service", "prometheus"),
    "redis": ("redis-server.service", "redis-server"),
}


@pytest.mark.parametrize("role", OWN)
def test_the_unit_of_the_role_lands_before_the_package_that_has_another(role: str) -> None:
    unit, package = OWN[role]
    tasks: list[dict[str, Any]] = yaml.safe_load((PROJECT / "roles" / role / "tasks/install.yml").read_text())
    written = [number for number, task in enumerate(tasks) if f"/etc/systemd/system/{unit}" in json.dumps(task)]
    (installed,) = [number for number, task in enumerate(tasks) if package in task.get("packages", {}).get("name", ())]
    assert min(written, default=installed) < installed
