# SPDX-License-Identifier: Apache-2.0
"""What the services of a host declare, whatever they are described as, and what their journal is signed with."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st
from station.journal.checkpoint import Signer

from fleet.paths import PROJECT
from plugins.filter.services import (
    FilterModule,
    journal_anchors,
    journal_key,
    journal_keys,
    journal_verifier,
    services_ports,
    services_scrape,
    services_units,
)

SERVICES = yaml.safe_load((PROJECT / "group_vars/lab.yml").read_text())["services_instances"]
SECRET = "0123456789abcdef0123456789abcdef"
HOSTS = {
    "station": {"ansible_host": "10.10.0.10"},
    "aibox": {"ansible_host": "10.10.0.12", "anchor_port": 9310},
    "vps": {"ansible_host": "10.20.0.10", "anchor_port": 9311},
}


def test_each_service_is_a_target_of_prometheus() -> None:
    assert services_scrape(SERVICES[:1]) == [{"job": "station-journal", "port": 9301, "scope": "loopback"}]
    assert services_scrape([]) == []


def test_each_port_is_declared_with_the_key_that_sets_it() -> None:
    assert [(port["port"], port["key"]) for port in services_ports(SERVICES)] == [
        (9301, "services_instances.0.metrics_port"),
        (9302, "services_instances.1.metrics_port"),
        (9303, "services_instances.2.metrics_port"),
    ]


def test_who_writes_stops_before_who_is_read() -> None:
    ranked = sorted(services_units(SERVICES), key=lambda unit: unit["drain"])
    assert [unit["name"] for unit in ranked] == [
        "station@replay.service",
        "station@momentum.service",
        "station@journal.service",
    ]
    assert not any(unit["restart"] for unit in ranked)


ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x, max_size=3))
DESCRIBED = st.dictionaries(st.sampled_from(["name", "kind", "metrics_port", "former_keys"]), ANYTHING)


@given(st.lists(DESCRIBED | ANYTHING, max_size=4))
def test_what_is_no_service_declares_nothing_and_stops_nobody(services: list[Any]) -> None:
    assert services_scrape(services) == services_ports(services) == services_units(services) == []
    assert journal_keys(services, "", "station/journal") == []


def test_a_journal_is_anchored_on_its_own_host_and_on_every_other_one_of_the_group() -> None:
    own = {"name": "oversight"}
    assert journal_anchors(["aibox", "station", "vps"], HOSTS, "station") == [
        own,
        {"name": "aibox", "address": "10.10.0.12:9310"},
        {"name": "vps", "address": "10.20.0.10:9311"},
    ]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ([], "group anchors has no host; put another host into it in hosts.yml"),
        (["station"], "group anchors has station alone, whose own journal it is; put another host into it"),
        (["aibox", "modelserver"], "modelserver of group anchors: ansible_host or anchor_port is missing; set it"),
    ],
)
def test_an_anchor_that_cannot_be_one_is_refused_by_name(hosts: list[str], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        journal_anchors(hosts, {**HOSTS, "modelserver": {"ansible_host": "10.10.0.13"}}, "station")


def test_the_keys_of_a_journal_are_the_present_one_and_those_before() -> None:
    services = [SERVICES[0] | {"former_keys": ["station/journal+00000000+AAAA"]}]
    assert journal_keys([], SECRET, "station/journal") == [journal_verifier(SECRET, "station/journal")]
    assert journal_keys(services, SECRET, "station/journal") == [
        journal_verifier(SECRET, "station/journal"),
        "station/journal+00000000+AAAA",
    ]
    assert journal_keys(services, "change-me", "station/journal") == []


def test_one_secret_is_one_key_whose_halves_belong_together() -> None:
    signer = Signer.parse(journal_key(SECRET, "station/journal"))
    assert signer.verifier.text() == journal_verifier(SECRET, "station/journal")
    assert journal_key(SECRET, "station/journal") == journal_key(SECRET, "station/journal")
    assert journal_key(SECRET + "x", "station/journal") != journal_key(SECRET, "station/journal")
    assert SECRET not in journal_key(SECRET, "station/journal")


def test_a_short_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(AnsibleFilterError, match="shorter than 32 characters") as caught:
        journal_key("change-me", "station/journal")
    assert "change-me" not in str(caught.value)


def test_templates_find_every_filter() -> None:
    assert {name for name, made in FilterModule().filters().items() if made.__name__ != name} == set()
