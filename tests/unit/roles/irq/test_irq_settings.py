# SPDX-License-Identifier: Apache-2.0
"""The configuration that the role irq writes, and what of it a machine does not have."""

from typing import Any

import pytest

from roles.irq.filter_plugins.irq_settings import irq_banned, irq_config, irq_host_problems

HARDWARE = {
    "cpu": {"performance_cpus": "0-3", "efficiency_cpus": "4-7"},
    "nics": [
        {"use": "market", "pci_id": "1924:0B03", "pci_slot": "0000:04:00.0"},
        {"use": "lan", "pci_id": "10EC:8168"},
        {"use": "lan", "pci_id": "8086:1572", "pci_slot": "0000:02:00.1"},
    ],
}
SETS = {"isolated": "2-3", "irq": "0-1", "problems": []}
SAID = """0-7
DRIVER=sfc
PCI_ID=1924:0B03
PCI_SLOT_NAME=0000:04:00.0
PCI_ID=10EC:8168
PCI_SLOT_NAME=0000:05:00.0
DRIVER=virtio_net
"""


def test_a_use_becomes_the_slots_of_its_ports_else_their_ids():
    rules: list[dict[str, Any]] = [{"device": "use:lan", "cpus": "1", "spread": True}, {"device": "nvme*"}]
    assert irq_config(rules, "0-1", SETS, HARDWARE) == {
        "isolated": "2-3",
        "cpus": "0-1",
        "rules": [
            {"match": ["pci:10ec:8168", "pci:0000:02:00.1"], "cpus": "1", "spread": True},
            {"match": ["nvme*"], "cpus": "0-1", "spread": False},
        ],
    }


@pytest.mark.parametrize(("cpus", "banned"), [("0-1", "2-7"), ("0-7", ""), ("", "")])
def test_irqbalance_leaves_every_cpu_alone_that_serves_no_interrupts(cpus, banned):
    assert irq_banned(cpus, HARDWARE) == banned


def test_what_the_machine_has_is_accepted():
    rules: list[dict[str, Any]] = [
        {"device": "use:market"},
        {"device": "driver:virtio_net"},
        {"device": "nvme*"},
        {"device": "driver:sfc"},
    ]
    assert irq_host_problems(SAID, irq_config(rules, "0-1", SETS, HARDWARE)) == []


@pytest.mark.parametrize(
    ("rule", "said", "words"),
    [
        ({"device": "use:lan"}, SAID, "no pci:0000:02:00.1, it has 0000:04:00.0, 0000:05:00.0, 10ec:8168, 1924:0b03"),
        ({"device": "driver:i40e"}, SAID, "no driver:i40e, it has sfc, virtio_net"),
        ({"device": "x", "cpus": "6-7"}, SAID.replace("0-7", "0-5"), "no CPU of 6-7 is online, only 0-5 are"),
    ],
)
def test_what_the_machine_does_not_have_is_named_with_what_it_has(rule, said, words):
    (line,) = irq_host_problems(said, irq_config([rule], "0-1", SETS, HARDWARE))
    assert words in line


def test_cpus_that_are_all_offline_cannot_serve_interrupts():
    config = irq_config([], "6-7", SETS, HARDWARE)
    assert irq_host_problems("0-5\n", config) == ["irq_cpus: no CPU of 6-7 is online, only 0-5 are"]
