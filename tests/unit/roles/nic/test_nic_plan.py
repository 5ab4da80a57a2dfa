# SPDX-License-Identifier: Apache-2.0
"""Which port the inventory means, what its driver can do, and what lasts."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.nic.filter_plugins.nic_plan import DIRECTIVES, nic_plan, version

STOCK = """[Match]
OriginalName=*

[Link]
NamePolicy=keep kernel database onboard slot path
AlternativeNamesPolicy=database onboard slot path mac
MACAddressPolicy=persistent
"""


def seen(slot: str, **more: str) -> dict[str, Any]:
    return {
        "interface": f"enp{int(slot[5:7], 16)}s0f{slot[-1]}",
        "slot": slot,
        "id": "8086:1572",
        "driver": "i40e",
        "version": "6.8",
        "firmware": "9.20 0x8000d8c5 0.0.0",
        "path": f"pci-{slot}",
        "link_file": "/usr/lib/systemd/network/99-default.link",
        "link_text": STOCK,
        "settings": {
            "mtu": {"value": 1500},
            "channels": {"value": 20, "max": 20},
            "rx_ring": {"value": 512, "max": 8160},
            "rx_usecs": {"value": 50},
            "adaptive_rx": {"value": 1},
            "ntuple": {"value": 1},
            "gro": {"value": 1},
            "lro": {"value": 0, "max": 0, "min": 0},
        },
        **more,
    }


def nic(
    use: str = "lab", slot: str = "0000:02:00.0", identity: str = "8086:1572", driver: str = "i40e"
) -> dict[str, str]:
    entry = {"model": "Intel X710", "driver": driver, "pci_id": identity, "use": use}
    return entry | ({"pci_slot": slot} if slot else {})


TWO = [seen("0000:02:00.0"), seen("0000:02:00.1")]
LAB = {"channels": 4, "ntuple": True, "adaptive_rx": False, "rx_usecs": 0, "mtu": 1500, "offloads": {"gro": False}}


def problems(nics: Any, uses: Any, there: Any = TWO, optional: Sequence[str] = ()) -> list[str]:
    found: list[str] = nic_plan(there, nics, uses, optional)["problems"]
    return found


def test_a_port_gets_the_settings_of_its_use_and_a_link_file_that_keeps_its_name():
    plan = nic_plan(TWO, [nic("lan", "0000:02:00.1"), nic()], {"lab": LAB, "lan": {"mtu": 1500}}, [])
    assert plan["problems"] == []
    settings = {"channels": 4, "ntuple": 1, "adaptive_rx": 0, "rx_usecs": 0, "mtu": 1500, "gro": 0}
    lan = {"slot": "0000:02:00.1", "use": "lan", "settings": {"mtu": 1500}, "filters": []}
    lab = {"slot": "0000:02:00.0", "use": "lab", "settings": settings, "filters": []}
    assert plan["ports"] == [lan, lab]
    assert plan["report"][1] == "lab: enp2s0f0 i40e firmware 9.20 0x8000d8c5 0.0.0"
    link = plan["links"][1]
    assert link["path"] == "/etc/systemd/network/05-fleet-lab-0000-02-00-0.link"
    assert [line for line in link["content"].splitlines() if line and line[0] != "#"] == [
        "[Match]",
        "Path=pci-0000:02:00.0",
        "[Link]",
        "NamePolicy=keep kernel database onboard slot path",
        "AlternativeNamesPolicy=database onboard slot path mac",
        "MACAddressPolicy=persistent",
        "MTUBytes=1500",
        "CombinedChannels=4",
        "UseAdaptiveRxCoalesce=false",
        "RxCoalesceSec=0us",
        "NTupleFilter=true",
        "GenericReceiveOffload=false",
    ]


def test_a_name_that_another_file_gave_is_kept_and_its_other_settings_are_not():
    netplan = "[Match]\nMACAddress=02:00:00:00:00:01\n\n[Link]\n# x=y\nWakeOnLan=off\nName=trade0\nMTUBytes=9000\n"
    there = [seen("0000:02:00.0", link_file="/run/systemd/network/10-netplan-trade0.link", link_text=netplan)]
    (link,) = nic_plan(there, [nic()], {"lab": {"mtu": 1500}}, [])["links"]
    assert "Name=trade0\nWakeOnLan=off\n" in link["content"]
    assert "NamePolicy" not in link["content"]
    assert "9000" not in link["content"]


def test_a_second_run_renders_the_same_from_its_own_file():
    (first,) = nic_plan(TWO, [nic()], {"lab": LAB}, [])["links"]
    again = [seen("0000:02:00.0", link_file=first["path"], link_text=first["content"])]
    assert nic_plan(again, [nic()], {"lab": LAB}, [])["links"] == [first]


def test_a_host_whose_udev_says_nothing_gets_the_stock_naming():
    there = [seen("0000:02:00.0", link_file="", link_text="")]
    (link,) = nic_plan(there, [nic()], {"lab": LAB}, [])["links"]
    assert "NamePolicy=keep kernel database onboard slot path" in link["content"]


def test_a_use_without_settings_touches_nothing():
    plan = nic_plan(TWO, [nic("uplink")], {"uplink": {}}, [])
    assert (plan["ports"], plan["links"], plan["problems"]) == ([], [], [])
    assert plan["report"]


@pytest.mark.parametrize(
    ("entry", "there", "words"),
    [
        (nic(slot="0000:09:00.0"), TWO, "(lab, 0000:09:00.0) is not in this machine; present: enp2s0f0 0000:02:00.0"),
        (nic(slot="", identity="1924:0b03"), TWO, "(lab, 1924:0b03) is not in this machine"),
        (nic(), [], "is not in this machine; present: none"),
        (nic(slot=""), TWO, "may be any of enp2s0f0 0000:02:00.0 8086:1572 i40e, enp2s0f1 0000:02:00.1 8086:1572 i40e"),
        (nic(identity="1924:0b03"), TWO, "has pci_id 1924:0b03, in that slot is 8086:1572 (enp2s0f0)"),
        (nic(driver="ice"), TWO, "wants driver ice, enp2s0f0 is driven by i40e"),
    ],
)
def test_a_port_that_is_not_there_or_not_clear_is_named_with_those_present(entry, there, words):
    (line,) = problems([entry], {"lab": {"mtu": 1500}}, there)
    assert line.startswith("hardware.nics: Intel X710 (lab, ")
    assert words in line


def test_ports_with_a_slot_leave_the_last_one_of_the_same_card_clear():
    plan = nic_plan(TWO, [nic("lan", ""), nic()], {"lab": LAB, "lan": {"mtu": 1500}}, [])
    assert plan["problems"] == []
    assert [port["slot"] for port in plan["ports"]] == ["0000:02:00.0", "0000:02:00.1"]


def test_a_port_that_is_listed_twice_is_refused():
    (line,) = problems([nic(), nic("lan")], {})
    assert "is listed twice" in line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"channels": 32}, "nic_uses.lab: enp2s0f0 (i40e) offers channels up to 20, not 32; it offers"),
        ({"tx_ring": 256}, "nic_uses.lab: enp2s0f0 (i40e) has no tx_ring; it offers adaptive_rx, channels"),
        ({"tx_usecs": 0}, "change tx_usecs, or add to nic_optional"),
        ({"adaptive_tx": True}, "has no adaptive_tx"),
        ({"offloads": {"lro": True}}, "keeps lro at 0, not 1"),
    ],
)
def test_what_a_driver_does_not_offer_is_named_with_what_it_offers_unless_it_is_optional(settings, words):
    (line,) = problems([nic()], {"lab": settings})
    assert words in line
    assert "rx_ring (up to 8160)" in line
    key = next(iter(settings.get("offloads", settings)))
    plan = nic_plan(TWO, [nic()], {"lab": settings | {"mtu": 1500}}, [key])
    assert plan["problems"] == []
    assert plan["ports"][0]["settings"] == {"mtu": 1500}


def test_what_is_off_cannot_be_missed():
    assert problems([nic()], {"lab": {"adaptive_tx": False, "offloads": {"lro": False}}}) == []


@pytest.mark.parametrize(
    ("firmware", "minimum", "words"),
    [
        (
            "9.20 0x8000d8c5 0.0.0",
            "9.30",
            "nic_uses.lab.firmware: enp2s0f0 has firmware 9.20 0x8000d8c5 0.0.0, wanted 9.30",
        ),
        ("", "1.0", "has no firmware version to tell"),
        ("9.20 0x8000d8c5", "9.20", ""),
        ("10.1", "9.30", ""),
    ],
)
def test_firmware_that_is_too_old_is_refused(firmware, minimum, words):
    found = problems([nic()], {"lab": {"firmware": minimum}}, [seen("0000:02:00.0", firmware=firmware)])
    assert bool(found) == bool(words)
    assert words in "".join(found)


def test_a_link_file_that_would_win_is_refused():
    there = [seen("0000:02:00.0", link_file="/etc/systemd/network/00-mine.link")]
    (line,) = problems([nic()], {"lab": {"mtu": 1500}}, there)
    assert line.startswith("/etc/systemd/network/00-mine.link sorts before")


@given(st.lists(st.integers(0, 999), min_size=1, max_size=4))
def test_a_version_is_read_number_by_number(numbers):
    assert version(".".join(map(str, numbers)) + " 0x80") == tuple(numbers)


@given(st.dictionaries(st.sampled_from(["mtu", "channels", "rx_ring", "rx_usecs"]), st.integers(1, 20)))
def test_each_setting_becomes_one_directive_and_the_plan_changes_nothing_it_was_given(settings):
    there = copy.deepcopy(TWO)
    plan = nic_plan(there, [nic()], {"lab": settings}, [])
    assert there == TWO
    for link in plan["links"]:
        for key, value in settings.items():
            assert link["content"].count(f"{DIRECTIVES[key]}={value}") == 1
    assert bool(plan["links"]) == bool(settings)
