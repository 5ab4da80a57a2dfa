# SPDX-License-Identifier: Apache-2.0
"""Services become files and units in the order in which they start, with what other roles declare filled in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from station import config

from fleet.paths import PROJECT
from plugins.filter.services import journal_key
from roles.services.filter_plugins.services_planned import (
    FilterModule,
    completed,
    services_files,
    services_host_problems,
    services_planned,
    services_secrets,
    services_set,
)

SERVICES = yaml.safe_load((PROJECT / "group_vars/lab.yml").read_text())["services_instances"]
SECRET = "0123456789abcdef0123456789abcdef"
DECLARED: dict[str, dict[str, Any]] = {
    "redis": {
        "socket": "/run/redis-bus/other.sock",
        "units": [
            {"name": "redis-server@bus.service", "drain": 90},
            {"name": "prometheus-redis-exporter.service", "drain": 95},
        ],
    },
    "questdb": {
        "endpoint": "127.0.0.1:9010",
        "login": "scribe",
        "credential_files": {"questdb-http": "/etc/credstore/history"},
        "units": [{"name": "questdb.service", "drain": 90}],
    },
    "anchor": {"socket": "/run/anchor.sock", "units": [{"name": "station-anchor.socket", "drain": 60}]},
}


@pytest.fixture
def services() -> list[dict[str, Any]]:
    """Return the recorder, the feed and the agent of the lab, to be changed."""
    found: list[dict[str, Any]] = copy.deepcopy(SERVICES)
    found[0]["anchors"] = [{"name": "oversight"}, {"name": "aibox", "address": "10.10.0.12:9310"}]
    return found


def by_name(services: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {unit["name"]: unit for unit in services_planned(services, DECLARED)}


def test_what_other_roles_declare_is_in_each_services_file(services: list[dict[str, Any]]) -> None:
    found = {name: yaml.safe_load(unit["text"]) for name, unit in by_name(services).items()}
    assert [file["redis"] for file in found.values()] == [{"socket": "/run/redis-bus/other.sock"}] * len(found)
    assert found["journal"]["questdb"] == {"address": "127.0.0.1:9010", "user": "scribe"}
    assert found["journal"]["anchors"] == [
        {"name": "oversight", "socket": "/run/anchor.sock"},
        {"name": "aibox", "address": "10.10.0.12:9310"},
    ]


def test_what_a_description_says_itself_stays(services: list[dict[str, Any]]) -> None:
    services[0]["questdb"] = {"address": "10.10.0.9:9000"}
    services[2]["redis"] = {"socket": "/run/x.sock", "user": "tester"}
    found = {name: yaml.safe_load(unit["text"]) for name, unit in by_name(services).items()}
    assert found["journal"]["questdb"] == {"address": "10.10.0.9:9000", "user": "scribe"}
    assert found["momentum"]["redis"] == {"socket": "/run/x.sock", "user": "tester"}


def test_a_replay_from_the_table_gets_the_hosts_database(services: list[dict[str, Any]]) -> None:
    del services[1]["feed"]["files"]
    services[1]["feed"]["table"] = {"origin": "samples"}
    file = yaml.safe_load(by_name(services)["replay"]["text"])
    assert file["feed"]["table"] == {"origin": "samples", "address": "127.0.0.1:9010", "user": "scribe"}


@pytest.mark.parametrize(
    "service", [None, 5, "x", [], {}, {"redis": 5}, {"feed": []}, {"kind": "recorder", "anchors": 1}]
)
def test_what_is_no_service_is_left_to_the_rules(service: Any) -> None:
    assert completed(service, {}) == service


def test_units_start_with_who_is_read_and_stop_with_who_writes(services: list[dict[str, Any]]) -> None:
    units = services_planned(services, DECLARED)
    names = ["station@journal.service", "station@momentum.service", "station@replay.service"]
    assert [unit["unit"] for unit in units] == names
    others = ["redis-server@bus.service", "questdb.service", "station-anchor.socket"]
    assert [unit["after"] for unit in units] == [others, [*others, names[0]], [*others, *names[:2]]]


def test_a_unit_gets_the_credentials_that_its_service_names_and_no_others(services: list[dict[str, Any]]) -> None:
    assert {name: unit["credentials"] for name, unit in by_name(services).items()} == {
        "journal": {
            "journal-key": "/etc/credstore/journal-key",
            "questdb-http": "/etc/credstore/history",
            "redis-journal": "/etc/credstore/redis-journal",
        },
        "momentum": {"redis-agents": "/etc/credstore/redis-agents"},
        "replay": {"redis-agents": "/etc/credstore/redis-agents"},
    }


def test_a_unit_reaches_the_addresses_that_its_service_names_and_a_feed_whatever_its_vendor_has(
    services: list[dict[str, Any]],
) -> None:
    assert [unit["network"] for unit in services_planned(services, DECLARED)] == [["10.10.0.12"], [], []]
    services[0]["anchors"] = services[0]["anchors"][:1]
    assert not any(unit["network"] for unit in services_planned(services, DECLARED))
    services[0]["questdb"] = {"address": "10.10.0.9:9000"}
    services[1]["feed"] = {
        "source": "exchange",
        "exchange": "kraken",
        "symbols": ["BTC/USD"],
        "interval": "1m",
        "market_hours": "always",
    }
    services[2]["symbols"] = ["BTC/USD"]
    found = {name: unit["network"] for name, unit in by_name(services).items()}
    assert found == {"journal": ["10.10.0.9"], "momentum": [], "replay": ["any"]}


def test_a_replay_from_another_hosts_database_reaches_that_host(services: list[dict[str, Any]]) -> None:
    del services[1]["feed"]["files"]
    services[1]["feed"]["table"] = {"address": "10.10.0.9:9000", "origin": "samples"}
    assert by_name(services)["replay"]["network"] == ["10.10.0.9"]


def test_a_file_is_what_the_services_read(services: list[dict[str, Any]], tmp_path: Path) -> None:
    for name, unit in by_name(services).items():
        file = tmp_path / f"{name}.yml"
        file.write_text(unit["text"])
        assert config.load(file).name == name
    assert config.check([tmp_path]) == []


def test_other_files_are_another_set_and_the_order_in_the_inventory_is_none(services: list[dict[str, Any]]) -> None:
    before = services_set(services_planned(services, DECLARED))
    assert services_set(services_planned(services[::-1], DECLARED)) == before
    services[2]["budget_ms"] = 10
    assert services_set(services_planned(services, DECLARED)) != before


def test_each_service_has_a_file_that_the_release_judges_and_a_drop_in(services: list[dict[str, Any]]) -> None:
    files = services_files(services_planned(services, DECLARED), "abc", "/opt/station/releases/1")
    assert [entry["path"] for entry in files[:2]] == [
        "/etc/station/sets/abc/journal.yml",
        "/etc/systemd/system/station@journal.service.d/service.conf",
    ]
    assert files[0]["validate"] == ["/opt/station/releases/1/venv/bin/station", "config", "check", "%s"]
    assert files[1]["vars"]["item"]["name"] == "journal"
    assert len(files) == 2 * len(services)


def test_secrets_are_roots_and_in_no_difference() -> None:
    found = services_secrets({"redis-agents": "x" * 24}, SECRET, "station/journal")
    assert {entry["path"]: entry["content"] for entry in found} == {
        "/etc/credstore/redis-agents": "x" * 24,
        "/etc/credstore/journal-key": f"{journal_key(SECRET, 'station/journal')}\n",
    }
    assert all(entry["secret"] and entry["mode"] == "0600" for entry in found)
    assert services_secrets({}, "", "station/journal") == []


@pytest.mark.parametrize(
    ("online", "architecture", "words"),
    [
        ("0", "x86_64", "services_instances: replay: cpus: this host has no CPU 1 now, it has 0; choose among these"),
        ("0-3\n", "aarch64", "the services are locked for x86_64, this host is aarch64"),
    ],
)
def test_a_host_that_cannot_run_them_is_refused_in_one_line(
    services: list[dict[str, Any]], online: str, architecture: str, words: str
) -> None:
    (line,) = services_host_problems(services_planned(services, DECLARED), online, architecture)
    assert words in line


def test_a_host_that_can_run_them_is_not_refused(services: list[dict[str, Any]]) -> None:
    assert services_host_problems(services_planned(services, DECLARED), "0-3\n", "x86_64") == []


def test_units_of_wrong_services_are_the_same_line_and_no_traceback(services: list[dict[str, Any]]) -> None:
    del services[0]["metrics_port"]
    with pytest.raises(AnsibleFilterError, match=r"metrics_port: missing; set it to "):
        services_planned(services, DECLARED)


def test_templates_find_every_filter() -> None:
    assert {name for name, made in FilterModule().filters().items() if made.__name__ != name} == set()
