# SPDX-License-Identifier: Apache-2.0
"""Every endpoint of the declarations is scraped once, and what cannot be scraped is refused."""

from collections.abc import Mapping
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from roles.prometheus.filter_plugins.scrape_jobs import FilterModule, scrape_jobs, scrape_refusals

ADDRESSES = {"station": "10.0.0.10", "ms01": "10.0.0.11"}
NODE = {"job": "node", "port": 9100, "scope": "host"}
QUESTDB = {"job": "questdb", "port": 9003, "scope": "loopback"}


def test_one_job_holds_all_hosts_with_the_inventory_name_as_instance():
    jobs = scrape_jobs(
        {"station": {"node_exporter": [NODE], "questdb": [QUESTDB]}, "ms01": {"node_exporter": [NODE]}},
        ADDRESSES,
        "station",
    )
    assert jobs == [
        {
            "job_name": "node",
            "static_configs": [
                {"targets": ["10.0.0.11:9100"], "labels": {"instance": "ms01"}},
                {"targets": ["10.0.0.10:9100"], "labels": {"instance": "station"}},
            ],
        },
        {"job_name": "questdb", "static_configs": [{"targets": ["127.0.0.1:9003"], "labels": {"instance": "station"}}]},
    ]


def test_the_order_of_the_declarations_does_not_matter():
    one = {"station": {"node_exporter": [NODE]}, "ms01": {"node_exporter": [NODE]}}
    two = {"ms01": {"node_exporter": [NODE]}, "station": {"node_exporter": [NODE]}}
    assert scrape_jobs(one, ADDRESSES, "station") == scrape_jobs(two, ADDRESSES, "station")


def refused(declared: Any, addresses: Mapping[str, str] = ADDRESSES, server: str = "station") -> list[str]:
    return [str(refusal) for refusal in scrape_refusals(declared, addresses, server)]


def test_a_loopback_target_of_another_host_is_refused_with_what_would_be_right():
    (line,) = refused({"ms01": {"questdb": [QUESTDB]}})
    assert line.startswith("questdb_scrape.0 of ms01: job questdb listens on the loopback address of ms01")
    assert line.endswith("bind it to ansible_host and set its scope to host")


def test_a_job_that_two_roles_declare_for_one_host_is_refused_with_both_names():
    (line,) = refused({"ms01": {"a": [NODE], "b": [{**NODE, "port": 9101}]}})
    assert line.startswith("b_scrape of ms01: job node on ms01 is declared by a_scrape of ms01 too; ")


def test_the_same_target_twice_is_one_mistake():
    (line,) = refused({"ms01": {"a": [NODE], "b": [NODE]}})
    assert "job node on ms01" in line


def test_an_endpoint_that_two_jobs_read_is_refused():
    (line,) = refused({"ms01": {"a": [NODE], "b": [{**NODE, "job": "other"}]}})
    assert "endpoint 10.0.0.11:9100 is declared by a_scrape of ms01 too" in line


def test_of_two_that_listen_on_one_port_the_check_of_owners_tells():
    declared = {"ms01": {"a": [NODE], "b": [{**NODE, "job": "other"}]}}
    ports = {("ms01", "a", "9100"), ("ms01", "b", "9100")}
    assert list(scrape_refusals(declared, ADDRESSES, "station", ports)) == []
    assert list(scrape_refusals(declared, ADDRESSES, "station", {("ms01", "a", "9100")}))


def test_two_hosts_with_one_address_are_refused():
    (line,) = refused({"a": {"x": [NODE]}, "b": {"x": [NODE]}}, {"a": "10.0.0.9", "b": "10.0.0.9"}, "a")
    assert line.startswith("x_scrape of b: endpoint 10.0.0.9:9100 is declared by x_scrape of a too")


@pytest.mark.parametrize(
    ("export", "message"),
    [
        ({"job": "x", "port": 1}, "has job, port; write job, port and scope"),
        ({**NODE, "path": "/x"}, "has job, path, port, scope; write job, port and scope"),
        ({**NODE, "scope": "lan"}, "scope 'lan' is none"),
        ({**NODE, "port": "70000"}, "'70000' is no TCP port"),
        ({**NODE, "port": "http"}, "'http' is no TCP port"),
        ("node", "has 'node'"),
    ],
)
def test_a_malformed_declaration_is_refused_with_its_origin(export, message):
    (line,) = refused({"ms01": {"x": [export]}})
    assert line.startswith("x_scrape.0 of ms01: ")
    assert message in line


def test_a_host_without_an_address_is_refused():
    (line,) = refused({"new": {"x": [NODE]}})
    assert line.startswith("x_scrape.0 of new: new has no ansible_host")


def test_a_role_that_does_not_listen_has_no_target():
    assert scrape_jobs({"ms01": {"x": [{**NODE, "port": 0}]}}, ADDRESSES, "station") == []


def test_an_ipv6_address_is_written_in_brackets():
    (job,) = scrape_jobs({"a": {"x": [NODE]}}, {"a": "fd00::1"}, "a")
    assert job["static_configs"][0]["targets"] == ["[fd00::1]:9100"]


def test_no_configuration_is_made_from_what_is_refused():
    with pytest.raises(AnsibleFilterError, match="no ansible_host"):
        FilterModule().filters()["scrape_jobs"]({"new": {"x": [NODE]}}, {}, "station")


JOBS = st.lists(st.sampled_from(["node", "redis", "questdb"]), unique=True, max_size=3)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), JOBS, max_size=6))
def test_whatever_is_declared_once_is_scraped_once(fleet):
    ports = {"node": 1, "redis": 2, "questdb": 3}
    declared = {h: {j: [{"job": j, "port": ports[j], "scope": "host"}] for j in jobs} for h, jobs in fleet.items()}
    rendered = scrape_jobs(declared, {h: f"host-{h}" for h in fleet}, "server")
    got = [(j["job_name"], s["labels"]["instance"]) for j in rendered for s in j["static_configs"]]
    assert sorted(got) == sorted((job, host) for host, jobs in fleet.items() for job in jobs)
