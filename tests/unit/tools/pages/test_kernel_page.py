# SPDX-License-Identifier: Apache-2.0
"""The page of command lines says what the inventory makes of each host, and names every argument of every profile."""

from __future__ import annotations

import pytest
import yaml

from fleet.model.model import Fleet
from roles.kernel.policy.line import PROFILES
from roles.kernel.policy.refusals import HARMFUL
from tools.pages import kernel

CPU = {"model": "six cores", "performance_cpus": "0-11", "threads_per_core": 2}
TRADER = {
    "hardware": {"cpu": CPU, "memory_gib": 64},
    "cpu_isolation": {"isolated_cores": 2, "siblings": "idle", "services": {"feed": 1}},
    "kernel_profile": "trading",
    "kernel_hugepages": [{"size": "2M", "count": 8}],
    "kernel_arguments": ["console=ttyS0"],
}


@pytest.fixture
def page(tmp_path):
    inventory = tmp_path / "inventory" / "production"
    inventory.mkdir(parents=True)
    hosts = {"all": {"hosts": {"trader": TRADER, "plain": {"hardware": {"cpu": {"model": "other"}}}, "bare": {}}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "site.yml").write_text("[]\n")
    return kernel.page(Fleet.load(inventory, tmp_path))


def test_a_host_is_listed_with_its_cpu_sets(page):
    assert "| `trader` | trading | 2-5 | 0-1,6-11 | 0-1,6-11 | 3,5 | feed 2 |" in page
    assert "| `plain` | none | - | - | - | - | - |" in page
    assert "| `bare` | none | - | - | - | - | - |" in page


def test_a_host_is_listed_with_its_command_line_in_order_and_one_without_is_not(page):
    lines = page.partition("### trader\n\n```\n")[2].partition("\n```")[0].splitlines()
    assert lines[0] == "isolcpus=managed_irq,domain,2-5"
    assert lines[-4:] == ["default_hugepagesz=2M", "hugepagesz=2M", "hugepages=8", "console=ttyS0"]
    assert "### plain" not in page


def test_every_argument_is_listed_with_its_source_and_its_profiles(page):
    for wanted in PROFILES.values():
        for argument in wanted:
            assert f"| `{argument.name}={argument.value}` |" in page
            assert argument.source in page
    assert "| `preempt=full` |  |  |  | ● | ● |" in page


def test_every_refused_argument_is_listed_with_its_reason(page):
    for harmful in HARMFUL:
        assert f"| `{harmful.name}=" in page
        assert harmful.why in page
