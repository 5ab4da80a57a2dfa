# SPDX-License-Identifier: Apache-2.0
"""Alertmanager takes alerts, lets a dead host silence its consequences, and keeps its secrets to itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.host.state import exposure, owned, unit

UNIT = "prometheus-alertmanager.service"
CALL = (
    "import sys, urllib.request as r; "
    "q = r.Request(sys.argv[1], data=sys.argv[2].encode() or None, headers={'Content-Type': 'application/json'}); "
    "sys.stdout.write(r.urlopen(q, timeout=10).read().decode())"
)


@pytest.fixture
def alerts(host, settings):
    """Post alerts and read them back; whatever was posted is resolved at the end."""
    address = f"http://{settings['alertmanager_address']}:{settings['alertmanager_port']}/api/v2/alerts"
    posted: list[dict[str, str]] = []

    def send(labels: list[dict[str, str]], minutes: int) -> None:
        end = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
        body = json.dumps([{"labels": each, "endsAt": end} for each in labels])
        host.check_output("python3 -c %s %s %s", CALL, address, body)

    def post(*labels: dict[str, str]) -> dict[str, Any]:
        posted.extend(labels)
        send(list(labels), minutes=5)
        # Inhibition is decided when a group is flushed (group_wait).
        host.check_output("sleep 20")
        found = json.loads(host.check_output("python3 -c %s %s ''", CALL, address))
        ours = [alert for alert in found if alert["labels"].get("instance", "").endswith("-test")]
        return {alert["labels"]["alertname"]: alert for alert in ours}

    yield post
    send(posted, minutes=-1)


@pytest.mark.disruptive
def test_a_posted_alert_is_shown_and_a_host_that_is_down_inhibits_its_other_alerts(alerts):
    seen = alerts(
        {"alertname": "StationTest", "instance": "other-test", "severity": "warning"},
        {"alertname": "StationTestConsequence", "instance": "station-test", "severity": "critical"},
        {"alertname": "HostDown", "instance": "station-test", "severity": "critical"},
    )
    states = {name: alert["status"]["state"] for name, alert in seen.items()}
    assert states == {"StationTest": "active", "HostDown": "active", "StationTestConsequence": "suppressed"}


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_a_severity_goes_to_its_receiver(host, settings, severity):
    default = settings["alertmanager_default_receiver"] or "web interface only"
    expected = settings["alertmanager_severity_receivers"].get(severity, default)
    config = "/etc/prometheus/alertmanager.yml"
    route = host.check_output("amtool config routes test --config.file=%s severity=%s", config, severity)
    assert route.strip() == expected


def test_it_listens_on_its_address_and_its_gossip_port_is_closed(host, settings):
    pid = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    rows = [row for row in host.check_output("ss -Hltnup").splitlines() if f"pid={pid}," in row]
    assert [row.split()[4] for row in rows] == [f"{settings['alertmanager_address']}:{settings['alertmanager_port']}"]


def test_secrets_are_root_s_and_not_in_the_configuration(host, settings):
    text = host.file("/etc/prometheus/alertmanager.yml").content_string
    for receiver in settings["alertmanager_receivers"]:
        for kind in {"webhook_token", "email_password"} & receiver.keys():
            path = f"/etc/credstore/alertmanager.{receiver['name']}.{kind}"
            assert owned(host, path) == "root:root 600", path
            leaked = receiver[kind] in text  # by its place, not by itself
            assert not leaked, f"alertmanager.yml has the {kind} of {receiver['name']}"
    assert "password:" not in text


def test_the_unit_is_hardened_and_starts_at_boot(host):
    assert unit(host, UNIT) == "active, enabled", UNIT
    assert exposure(host, UNIT) <= 2.0, UNIT
