# SPDX-License-Identifier: Apache-2.0
"""Prometheus reads every target of the inventory once and runs the rules of the repository, which are tested."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.model.model import Fleet
from fleet.paths import PROJECT
from tests.host.state import exposure, refused

UNIT = "prometheus.service"
RULES = sorted(PROJECT.glob("roles/*/alerts/*.yml"))
RULE_TESTS = sorted(PROJECT.glob("tests/unit/roles/*/alerts/*.yml"))


def api(host, settings, path: str) -> Any:
    address = f"http://{settings['prometheus_address']}:{settings['prometheus_port']}/api/v1/{path}"
    code = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=10).read().decode())"
    return json.loads(host.check_output("python3 -c %s %s", code, address))["data"]


@pytest.fixture(scope="module")
def promised(request) -> dict[tuple[str, str], int]:
    """(job, host) -> port for every exporter that the inventory declares."""
    fleet = Fleet.load(Path(request.config.getoption("inventory")), PROJECT)
    return {
        (export["job"], name): int(export["port"])
        for name in fleet.hosts
        for exports in fleet.declared("scrape", name).values()
        for export in exports
        if int(export["port"])
    }


def test_every_exporter_of_the_inventory_is_a_target_once(host, settings, promised):
    targets = api(host, settings, "targets?state=active")["activeTargets"]
    seen = Counter((t["labels"]["job"], t["labels"]["instance"]) for t in targets)
    assert seen == Counter(promised.keys())
    ports = {
        (t["labels"]["job"], t["labels"]["instance"]): int(t["scrapeUrl"].split(":")[2].split("/")[0]) for t in targets
    }
    assert ports == promised
    assert len({t["scrapeUrl"] for t in targets}) == len(targets)


def test_every_target_is_up(host, settings):
    # QuestDB says null for a metric while none of its workers has run a job: that scrape is lost.
    for _ in range(6):
        targets = api(host, settings, "targets?state=active")["activeTargets"]
        down = {t["scrapeUrl"]: t["lastError"] for t in targets if t["health"] != "up"}
        if not down:
            break
        time.sleep(10)
    assert down == {}


def rules_of(files: Sequence[Path]) -> dict[str, dict[str, Any]]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]
    return {rule["alert"]: rule for document in documents for group in document["groups"] for rule in group["rules"]}


def test_the_rules_that_run_are_those_of_the_repository(host, settings):
    running = {rule["name"]: rule for group in api(host, settings, "rules")["groups"] for rule in group["rules"]}
    wanted = rules_of(RULES)
    assert running.keys() >= wanted.keys()
    assert {name for name in running if running[name]["health"] == "err"} == set()
    for name, rule in wanted.items():
        assert running[name]["annotations"] == rule["annotations"]
        assert running[name]["labels"] == rule["labels"]


def upload(host, folder: str, paths: list[Path]) -> None:
    for path in paths:
        target = f"{folder}/{path.relative_to(PROJECT)}"
        host.check_output("mkdir -p %s", str(Path(target).parent))
        host.check_output("printf %%s %s > %s", path.read_text(encoding="utf-8"), target)


@pytest.fixture
def workshop(host):
    """A folder on the host that holds the rules and their tests as the repository does."""
    folder = host.check_output("mktemp -d")
    upload(host, folder, [*RULES, *RULE_TESTS])
    yield folder
    host.check_output("rm -r %s", folder)


def test_every_rule_fires_when_it_should_and_not_otherwise(host, workshop):
    host.check_output("promtool test rules %s/tests/unit/roles/*/alerts/*.yml", workshop)


def test_the_rule_tests_can_fail(host, workshop):
    rules = f"{workshop}/roles/node_exporter/alerts/hosts.yml"
    host.check_output("sed -i 's/severity: critical/severity: warning/; s/== 0/== 2/' %s", rules)
    refused(host, "promtool test rules %s/tests/unit/roles/node_exporter/alerts/hosts.yml", workshop)


def test_it_listens_on_its_address_and_no_other(host, settings):
    rows = host.check_output("ss -Hltn sport = :%s", str(settings["prometheus_port"])).splitlines()
    assert [row.split()[3] for row in rows] == [f"{settings['prometheus_address']}:{settings['prometheus_port']}"]


def test_it_keeps_samples_as_long_and_as_many_as_declared(host, settings):
    flags = api(host, settings, "status/flags")
    # Prometheus spells units its own way: 1GB as 1GiB, 30d as 30d or 4w2d.
    assert flags["storage.tsdb.retention.size"].replace("iB", "B") == settings["prometheus_retention_size"]
    words = host.check_output("systemctl show --property=ExecStart %s", UNIT)
    assert f"--storage.tsdb.retention.time={settings['prometheus_retention_time']} " in words
    assert flags["storage.tsdb.path"] == settings["prometheus_data_directory"]


def test_a_reload_is_taken_by_the_running_process(host, settings):
    pid = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    before = api(host, settings, "status/runtimeinfo")["lastConfigTime"]
    host.check_output("sleep 1; systemctl reload %s; sleep 2", UNIT)
    after = api(host, settings, "status/runtimeinfo")
    assert after["lastConfigTime"] > before
    assert after["reloadConfigSuccess"] is True
    assert host.check_output("systemctl show --property=MainPID --value %s", UNIT) == pid


def test_it_sends_alerts_to_every_alertmanager_of_the_inventory(host, settings, promised):
    wanted = len([job for job, _ in promised if job == "alertmanager"])
    for _ in range(30):  # after a reload it finds them anew, which takes some seconds
        known = {a["url"] for a in api(host, settings, "alertmanagers")["activeAlertmanagers"]}
        if len(known) == wanted:
            break
        time.sleep(1)
    assert len(known) == wanted


def test_it_stays_on_its_cpus(host, settings):
    if not settings["prometheus_cpus"]:
        pytest.skip("prometheus_cpus is not set for this host")
    pid = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    allowed = re.search(r"^Cpus_allowed_list:\s+(\S+)$", host.file(f"/proc/{pid}/status").content_string, re.MULTILINE)
    assert allowed is not None
    assert allowed.group(1) == settings["prometheus_cpus"]


def test_the_unit_is_hardened(host):
    assert exposure(host, UNIT) <= 2.0, UNIT
