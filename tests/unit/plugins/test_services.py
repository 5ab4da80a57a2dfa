# SPDX-License-Identifier: Apache-2.0
"""Services become files and units in the order in which they start, and what cannot run is refused before."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from station import config
from station.journal.checkpoint import Signer

from fleet.paths import PROJECT
from plugins.filter.services import (
    FilterModule,
    journal_anchors,
    journal_key,
    journal_keys,
    journal_verifier,
    services_problems,
    services_scrape,
    services_set,
    services_units,
)

SERVICES = yaml.safe_load((PROJECT / "group_vars/lab.yml").read_text())["services_instances"]
CREDENTIALS = ["redis-agents", "redis-journal", "questdb-http", "journal-key"]
SECRET = "0123456789abcdef0123456789abcdef"
HOSTS = {
    "station": {"ansible_host": "10.10.0.10"},
    "aibox": {"ansible_host": "10.10.0.12", "anchor_port": 9310},
    "vps": {"ansible_host": "10.20.0.10", "anchor_port": 9311},
}


@pytest.fixture
def services() -> list[dict[str, Any]]:
    """Return the recorder, the feed and the agent of the fleet, to be changed; CPUs are a host's business."""
    found = [{**copy.deepcopy(one), "cpus": ""} for one in SERVICES]
    found[0]["anchors"] = journal_anchors(["aibox"], HOSTS, "station")
    return found


def problems(services: list[dict[str, Any]], online: str = "0-3") -> list[str]:
    return services_problems(services, CREDENTIALS, online)


def test_the_services_of_the_fleet_have_no_problem(services: list[dict[str, Any]]) -> None:
    assert problems(services) == []


def test_a_host_without_services_has_no_problem_and_still_a_key_for_its_journal() -> None:
    assert problems([]) == []
    assert services_units([]) == services_scrape([]) == []
    assert services_set([]) != services_set(services_units(SERVICES[1:2]))
    assert journal_keys([], SECRET, "station/journal") == [journal_verifier(SECRET, "station/journal")]


def test_an_unknown_key_is_refused_with_the_nearest_one(services: list[dict[str, Any]]) -> None:
    services[1]["feed"]["symbls"] = ["EURUSD"]
    assert 'feed.symbls: unknown key; did you mean "symbols"?' in problems(services)[0]


@pytest.mark.parametrize(
    ("number", "change", "words"),
    [
        (1, {"metrics_port": 9301}, "metrics_port: 9301 is taken by services_instances[0]"),
        (2, {"reads": ["md:replya"]}, 'no service writes md:replya; did you mean "md:replay"?'),
        (2, {"cpus": "2-5"}, "momentum: cpus: this host has no CPU 4,5, it has 0-3; choose among these"),
        (2, {"redis": {"password_file": "redis-agent"}}, 'momentum: no credential "redis-agent", there is '),
        (0, {"name": "halt"}, "halt: /var/lib/station/halt belongs to the kill switch; give the service another name"),
        (0, {"name": "anchor"}, "anchor: station-anchor is the unit of the role anchor; give the service another name"),
        (0, {"name": "kernel"}, "kernel: /var/lib/station/kernel belonged to the machine; give the service another"),
        (
            0,
            {"name": "ssh-rollback"},
            "/var/lib/station/ssh-rollback belonged to the machine; give the service another",
        ),
        (0, {"name": "recorder"}, "recorder: folder: its unit may write /var/lib/station/recorder alone"),
        (0, {"state_folder": "/srv"}, "journal: state_folder: its unit may write /var/lib/station/journal alone"),
        (2, {"halt_folder": "/srv"}, "momentum: halt_folder: the kill switch of this host is /var/lib/station/halt"),
    ],
)
def test_what_cannot_run_on_the_host_is_one_line(
    services: list[dict[str, Any]], number: int, change: dict[str, Any], words: str
) -> None:
    services[number].update(change)
    assert words in problems(services)[0]


def test_a_secret_that_is_missing_is_named_with_where_it_is_from(services: list[dict[str, Any]]) -> None:
    found = services_problems(services, [], "0-3")
    assert [line.partition("; ")[2] for line in found] == [
        "set services_journal_secret, 32 characters or more",
        "put the host into the group questdb, whose role brings it",
        "add it to services_credentials",
        "add it to services_credentials",
        "add it to services_credentials",
    ]


def test_units_start_with_who_is_read_and_stop_with_who_writes(services: list[dict[str, Any]]) -> None:
    units = services_units(services)
    assert [unit["unit"] for unit in units] == [
        "station@journal.service",
        "station@momentum.service",
        "station@replay.service",
    ]
    backends = ["redis-server@bus.service", "questdb.service"]
    assert [unit["after"][2:] for unit in units] == [[], [units[0]["unit"]], [units[0]["unit"], units[1]["unit"]]]
    assert all(unit["after"][:2] == backends for unit in units)


def test_a_unit_gets_the_credentials_that_its_service_names_and_no_others(services: list[dict[str, Any]]) -> None:
    assert {unit["name"]: unit["credentials"] for unit in services_units(services)} == {
        "journal": ["journal-key", "questdb-http", "redis-journal"],
        "momentum": ["redis-agents"],
        "replay": ["redis-agents"],
    }


def test_a_unit_reaches_the_addresses_that_its_service_names_and_a_feed_whatever_its_vendor_has(
    services: list[dict[str, Any]],
) -> None:
    assert [unit["network"] for unit in services_units(services)] == [["10.10.0.12"], [], []]
    services[0]["anchors"] = services[0]["anchors"][:1]
    assert not any(unit["network"] for unit in services_units(services))
    services[0]["anchors"] = journal_anchors(["vps", "aibox"], HOSTS, "station")
    services[0]["questdb"] = {"address": "10.10.0.9:9000"}
    services[1]["feed"] = {
        "source": "exchange",
        "exchange": "kraken",
        "symbols": ["BTC/USD"],
        "interval": "1m",
        "market_hours": "always",
    }
    services[2]["symbols"] = ["BTC/USD"]
    found = {unit["name"]: unit["network"] for unit in services_units(services)}
    assert found == {"journal": ["10.10.0.12", "10.10.0.9", "10.20.0.10"], "momentum": [], "replay": ["any"]}


def test_a_replay_from_another_hosts_database_reaches_that_host(services: list[dict[str, Any]]) -> None:
    del services[1]["feed"]["files"]
    services[1]["feed"]["table"] = {"address": "10.10.0.9:9000", "origin": "gym-anytrading"}
    assert services_units(services)[2]["network"] == ["10.10.0.9"]


def test_an_address_that_is_a_name_is_refused_for_a_unit_that_opens_to_addresses(
    services: list[dict[str, Any]],
) -> None:
    services[0]["anchors"][1]["address"] = "aibox.example:9310"
    assert problems(services) == [
        "services_instances: journal: anchors.1.address: aibox.example is a name, and a unit opens to"
        " addresses alone; write its IPv4 address"
    ]


def test_a_journal_is_anchored_on_its_own_host_and_on_every_other_one_of_the_group() -> None:
    own = {"name": "oversight", "socket": "/run/station-anchor.sock"}
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


def test_the_keys_of_a_journal_are_the_present_one_and_those_before(services: list[dict[str, Any]]) -> None:
    services[0]["former_keys"] = ["station/journal+00000000+AAAA"]
    assert journal_keys(services, SECRET, "station/journal") == [
        journal_verifier(SECRET, "station/journal"),
        "station/journal+00000000+AAAA",
    ]
    assert journal_keys(services, "change-me", "station/journal") == []


def test_a_file_says_what_the_inventory_says(services: list[dict[str, Any]], tmp_path: Path) -> None:
    for unit in services_units(services):
        file = tmp_path / f"{unit['name']}.yml"
        file.write_text(unit["text"])
        assert yaml.safe_load(unit["text"]) == next(one for one in services if one["name"] == unit["name"])
        assert config.load(file).name == unit["name"]
    assert config.check([tmp_path]) == []


def test_other_files_are_another_set_and_the_order_in_the_inventory_is_none(services: list[dict[str, Any]]) -> None:
    before = services_set(services_units(services))
    assert services_set(services_units(services[::-1])) == before
    services[2]["budget_ms"] = 10
    assert services_set(services_units(services)) != before


def test_each_service_is_a_target_of_prometheus(services: list[dict[str, Any]]) -> None:
    assert services_scrape(services[:1]) == [{"job": "station-journal", "port": 9301, "scope": "loopback"}]
    assert services_scrape([]) == []


def test_units_of_wrong_services_are_the_same_line_and_no_traceback(services: list[dict[str, Any]]) -> None:
    del services[0]["metrics_port"]
    with pytest.raises(AnsibleFilterError, match=r"metrics_port: missing; set it to "):
        services_units(services)


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
