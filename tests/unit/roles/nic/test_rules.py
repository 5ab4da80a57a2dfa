# SPDX-License-Identifier: Apache-2.0
"""What the role nic refuses of its variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.roles.rules_kit import example, lines, refusals

UDP = "flow-type udp4 dst-port 5000 action 1"


def lab(**settings: Any) -> dict[str, Any]:
    return {"nic_uses": {"lab": settings}}


@pytest.mark.parametrize("host", ["station", "ms01", "vps"])
def test_the_hosts_of_the_example_pass(host):
    assert lines("nic", host) == []


@pytest.mark.parametrize("use", [{}, {"mtu": 1500}, {"channels": 4, "ntuple": True, "filters": [UDP]}, {"mtu": 9000}])
def test_sensible_settings_pass(use):
    assert lines("nic", "ms01", **lab(**use)) == []


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (lab(mtu=15000), "nic_uses.lab.mtu", "15000 is out of range; write a number from 1280 to 9978"),
        (lab(mtu=0), "nic_uses.lab.mtu", "0 is out of range"),
        (lab(channels=0), "nic_uses.lab.channels", "0 is out of range"),
        (lab(channels=21), "nic_uses.lab.channels", "21 queues are more than the 20 CPUs"),
        (lab(rx_ring=-1), "nic_uses.lab.rx_ring", "-1 is out of range"),
        (lab(rx_usecs=-1), "nic_uses.lab.rx_usecs", "-1 is out of range"),
        (lab(firmware="latest"), "nic_uses.lab.firmware", "'latest' is no version"),
        (lab(adaptive_rx=True, rx_usecs=60), "nic_uses.lab.rx_usecs", "adaptive_rx lets the driver choose"),
        (lab(ntuple=False, filters=[UDP]), "nic_uses.lab.filters", "write ntuple: true"),
        (lab(filters=[f"{UDP} loc 3"]), "nic_uses.lab.filters.0", "the list gives the place"),
        (lab(filters=["udp4 5000"]), "nic_uses.lab.filters.0", "is no filter"),
        (lab(filters=[f"{UDP}; reboot"]), "nic_uses.lab.filters.0", "is no filter"),
        (lab(channels=1, filters=[UDP]), "nic_uses.lab.filters.0", "steers to a queue beyond channels: 1"),
        ({"nic_optional": ["chanels"]}, "nic_optional.0", "did you mean channels?"),
        ({"nic_optional": [""]}, "nic_optional.0", "there is no setting ''"),
    ],
)
def test_a_bad_setting_is_refused_at_its_key(change, key, words):
    (refusal,) = refusals("nic", "ms01", **change)
    assert refusal.key == key
    assert words in str(refusal)
    assert refusal.right


def test_queues_for_a_use_that_this_host_does_not_have_may_be_meant_for_another():
    assert lines("nic", "vps", **lab(channels=64)) == []


def test_two_ports_that_nothing_tells_apart_are_refused():
    card = {"model": "X710", "driver": "i40e", "pci_id": "8086:1572", "use": "lab"}
    known = example().settings("ms01")["hardware"]
    found = refusals("nic", "ms01", hardware={**known, "nics": [card, card | {"use": "lan"}]})
    assert [refusal.key for refusal in found] == ["hardware.nics.0", "hardware.nics.1"]
    one = [card, card | {"pci_slot": "0000:02:00.1", "use": "lan"}]
    assert lines("nic", "ms01", hardware={**known, "nics": one}) == []


@given(st.lists(st.text(max_size=30), max_size=3))
def test_whatever_a_filter_says_the_rules_answer(filters):
    assert all(refusal.variable == "nic_uses" for refusal in refusals("nic", "ms01", **lab(filters=filters)))
