# SPDX-License-Identifier: Apache-2.0
"""The blackbox exporter says of an address whether it answers, and listens on loopback alone."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from testinfra.host import Host

from fleet.model.settings import Settings
from tests.host.state import exposure

UNIT = "prometheus-blackbox-exporter.service"
ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=15).read().decode())"


def probe(host: Host, settings: Settings, module: str, target: str) -> dict[str, Any]:
    """Return the metrics without labels of one probe."""
    address, port = settings["blackbox_exporter_address"], settings["blackbox_exporter_port"]
    text = host.check_output("python3 -c %s %s", ASK, f"http://{address}:{port}/probe?module={module}&target={target}")
    return {name: json.loads(value) for name, value in re.findall(r"^(probe_\w+) (\S+)$", text, re.MULTILINE)}


def test_it_listens_on_its_address_and_no_other(host: Host, settings: Settings) -> None:
    address, port = settings["blackbox_exporter_address"], settings["blackbox_exporter_port"]
    rows = host.check_output("ss -Hltn sport = :%s", str(port)).splitlines()
    assert [row.split()[3] for row in rows] == [f"{address}:{port}"]


def test_a_port_that_answers_and_one_that_does_not_are_told_apart(host: Host, settings: Settings) -> None:
    ssh = f"{settings['ansible_host']}:{settings['ssh_port']}"
    assert probe(host, settings, "tcp_connect", ssh)["probe_success"] == 1
    assert probe(host, settings, "tcp_connect", "127.0.0.1:1")["probe_success"] == 0
    # sshd speaks no TLS.
    assert probe(host, settings, "tls", ssh)["probe_success"] == 0


# A probe that names no target is a bad request.
@pytest.mark.parametrize(("path", "success"), [("/metrics", 1), ("/probe", 0)])
def test_a_page_and_a_refusal_are_told_apart(host: Host, settings: Settings, path: str, success: int) -> None:
    own = f"http://{settings['blackbox_exporter_address']}:{settings['blackbox_exporter_port']}"
    assert probe(host, settings, "http_2xx", f"{own}{path}")["probe_success"] == success


def test_the_unit_is_hardened(host: Host) -> None:
    assert exposure(host, UNIT) <= 2.0, UNIT
