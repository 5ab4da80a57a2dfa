# SPDX-License-Identifier: Apache-2.0
"""What Prometheus cannot work with is refused in one line, and the Prometheus that runs keeps running as it was."""

import shlex
import subprocess
from typing import Any

import pytest

from fleet.paths import PROJECT

HOST = "station"
SSH = ["ssh", "-F", str(PROJECT / ".lab/ssh_config"), HOST]


def on_host(command: str) -> str:
    done = subprocess.run([*SSH, command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def state() -> str:
    """Process and loaded configuration of the running service."""
    unit = on_host("systemctl show --property=MainPID,ActiveState,NRestarts prometheus.service")
    url = on_host("tr '\\0' '\\n' < /proc/$(pidof prometheus)/cmdline | sed -n s/--web.external-url=//p")
    code = f"import urllib.request as r; print(r.urlopen('{url}api/v1/status/config').read())"
    return f"{unit} {on_host(f'python3 -c {shlex.quote(code)}')}"


@pytest.fixture(autouse=True)
def service_is_left_alone():
    before = state()
    assert "ActiveState=active" in before
    yield
    assert state() == before


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"prometheus_scrape": [{"job": "node", "port": 9100, "scope": "host"}]},
        ["prometheus_scrape: job node on station is declared by node_exporter_scrape of station too"],
    ),
]


def test_what_cannot_work_is_refused_in_one_line(refusals, tmp_path):
    rules = tmp_path / "bad.yml"
    rules.write_text("groups: [{name: bad, rules: [{alert: Bad, expr: 'sum(('}]}]\n")
    cases = [*REFUSED, ({"prometheus_rule_files": [str(rules)]}, ["could not parse expression"])]
    said = refusals("prometheus", HOST, [variables for variables, _ in cases])
    for (variables, words), line in zip(cases, said, strict=True):
        assert [word for word in words if word not in line] == [], variables


def test_a_port_that_another_service_holds_is_refused_with_its_name_and_the_next_run_recovers(play):
    try:
        result = play("prometheus", HOST, prometheus_port=8812, prometheus_address="127.0.0.1")
        assert result.rc != 0
        assert "prometheus.service: cannot listen on 127.0.0.1:8812, java (" in result.out
        assert "listens there; nothing was restarted" in result.out
    finally:
        assert play("prometheus", HOST).rc == 0
