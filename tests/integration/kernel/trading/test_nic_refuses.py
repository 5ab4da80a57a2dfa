# SPDX-License-Identifier: Apache-2.0
"""What the role nic refuses, before it changes anything."""

from typing import Any

HOST = "vm-trading"
UPLINK = {"model": "virtio", "driver": "virtio_net", "pci_id": "1af4:1000", "use": "uplink"}
LAB = {"model": "Intel 82574L", "driver": "e1000e", "pci_id": "8086:10d3", "use": "lab"}


def hardware(*nics: dict[str, str]) -> dict[str, Any]:
    """Return the extra variables of a machine whose ports are these; the role reads nothing else of the hardware."""
    return {
        "hardware": {"cpu": {"model": "any"}, "memory_gib": 4, "nics": list(nics)},
        "nic_uses": {"lab": {"mtu": 1500}},
        "nic_optional": [],
    }


REFUSED: list[tuple[dict[str, Any], str]] = [
    (hardware(LAB | {"pci_id": "8086:1572"}), "Intel 82574L (lab, 8086:1572) is not in this machine; present: "),
    (hardware(LAB | {"pci_slot": "0000:7f:00.0"}), "Intel 82574L (lab, 0000:7f:00.0) is not in this machine"),
    (hardware(LAB | {"driver": "igb"}), "wants driver igb, "),
    (hardware(LAB) | {"nic_uses": {"lab": {"rx_ring": 60000}}}, "offers rx_ring up to "),
    (hardware(LAB) | {"nic_uses": {"lab": {"channels": 4}}}, "(e1000e) has no channels; it offers "),
    (hardware(LAB) | {"nic_uses": {"lab": {"ntuple": True}}}, "(e1000e) keeps ntuple at 0, not 1"),
    (hardware(LAB) | {"nic_uses": {"lab": {"firmware": "999.0"}}}, "wanted 999.0 or later: update the card"),
    (hardware(LAB) | {"nic_uses": {"lab": {"ring": 4}}}, "ring"),
    # The ports that are there are listed.
    (hardware(UPLINK | {"pci_id": "1924:0b03"}), "8086:10d3 e1000e"),
    (hardware(UPLINK | {"pci_id": "1924:0b03"}), "virtio_net"),
    # What needs no host: the others are in tests/unit/roles/nic/test_rules.py.
    (hardware(LAB) | {"nic_optional": ["chanels"]}, "nic_optional.0: there is no setting 'chanels' of a port"),
]
STATE = "cat /etc/fleet/nic.json /sys/class/net/*/mtu"


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals, on_vm):
    before = on_vm(STATE)
    said = refusals("nic", HOST, [variables for variables, _ in REFUSED])
    for (variables, message), words in zip(REFUSED, said, strict=True):
        assert message in words, variables
    assert on_vm(STATE) == before
