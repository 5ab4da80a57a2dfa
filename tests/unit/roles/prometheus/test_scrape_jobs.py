# SPDX-License-Identifier: Apache-2.0
"""Every endpoint of the declarations is scraped once, and what cannot be scraped is refused."""

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from roles.prometheus.filter_plugins.scrape_jobs import FilterModule, ScrapeError, scrape_jobs, targets

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


def test_a_loopback_target_of_another_host_is_refused_with_what_would_be_right():
    with pytest.raises(ScrapeError, match=r"^questdb_scrape of ms01: .*on station: bind it to ansible_host"):
        scrape_jobs({"ms01": {"questdb": [QUESTDB]}}, ADDRESSES, "station")


def test_a_job_that_two_roles_declare_for_one_host_is_refused_with_both_names():
    other = {**NODE, "port": 9101}
    with pytest.raises(
        ScrapeError, match="job node on ms01 is declared twice, by a_scrape of ms01 and b_scrape of ms01"
    ):
        scrape_jobs({"ms01": {"a": [NODE], "b": [other]}}, ADDRESSES, "station")


def test_an_endpoint_that_two_jobs_read_is_refused():
    with pytest.raises(ScrapeError, match=r"endpoint 10\.0\.0\.11:9100 is declared twice"):
        scrape_jobs({"ms01": {"a": [NODE], "b": [{**NODE, "job": "other"}]}}, ADDRESSES, "station")


def test_two_hosts_with_one_address_are_refused():
    with pytest.raises(ScrapeError, match=r"endpoint 10\.0\.0\.9:9100 is declared twice"):
        scrape_jobs({"a": {"x": [NODE]}, "b": {"x": [NODE]}}, {"a": "10.0.0.9", "b": "10.0.0.9"}, "a")


@pytest.mark.parametrize(
    ("export", "message"),
    [
        ({"job": "x", "port": 1}, "missing: scope"),
        ({**NODE, "path": "/x"}, "missing: path"),
        ({**NODE, "scope": "lan"}, "scope 'lan' is neither"),
        ({**NODE, "port": "70000"}, "'70000' is no TCP port"),
        ({**NODE, "port": "http"}, "'http' is no TCP port"),
    ],
)
def test_a_malformed_declaration_is_refused_with_its_origin(export, message):
    with pytest.raises(ScrapeError, match=f"^x_scrape of ms01: .*{message}"):
        scrape_jobs({"ms01": {"x": [export]}}, ADDRESSES, "station")


def test_a_host_without_an_address_is_refused():
    with pytest.raises(ScrapeError, match="new has no ansible_host"):
        scrape_jobs({"new": {"x": [NODE]}}, ADDRESSES, "station")


def test_a_role_that_does_not_listen_has_no_target():
    assert scrape_jobs({"ms01": {"x": [{**NODE, "port": 0}]}}, ADDRESSES, "station") == []


def test_an_ipv6_address_is_written_in_brackets():
    assert targets({"a": {"x": [NODE]}}, {"a": "fd00::1"}, "a")[0].address == "[fd00::1]:9100"


def test_ansible_gets_its_own_kind_of_error():
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
