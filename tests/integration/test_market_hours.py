# SPDX-License-Identifier: Apache-2.0
"""The station in its market hours: no layer changes it, an override does and is written down, a halted one is free."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.paths import LAB_INVENTORY, LAB_STATE, PROJECT, VENV_BIN

NOW = datetime.now(UTC)
# A window around this test, whatever the hour.
OPEN = [
    {
        "days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        "from": f"{NOW - timedelta(hours=1):%H:%M}",
        "until": f"{NOW + timedelta(hours=6):%H:%M}",
        "timezone": "UTC",
    }
]
# One variable of each of four layers; each ends in a file.
CHANGES = {
    "base_journal_max_use": "190M",
    "ssh_login_grace_time": 31,
    "redis_maxmemory_mib": 100,
    "services_drain_seconds": 61,
}
STATE = """
find /etc /usr/local /opt/station -xdev -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
systemctl show --property=Id,InvocationID ssh.service redis-server@bus.service station.target 'station@*.service'
"""
MAXMEMORY = "curl -s http://127.0.0.1:9121/metrics | sed -n 's/^redis_memory_max_bytes //p'"
LATCH = "/var/lib/station/halt/latch"


def on_host(script: str) -> str:
    command = ["ssh", "-F", str(LAB_STATE / "ssh_config"), "station", "sudo", "sh", "-s"]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout


def run(playbook: str, *words: str, **extra: Any) -> tuple[int, str]:
    """Run a playbook on the station as the verbs do; return exit status and output."""
    command = [str(VENV_BIN / "python"), "-m", "fleet.run.playbook", playbook, "--inventory", str(LAB_INVENTORY)]
    command += ["--limit", "station", "--extra-vars", json.dumps(extra), *words]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def maxmemory_mib() -> int:
    return int(float(on_host(MAXMEMORY))) // 2**20


@pytest.fixture
def declared_again() -> Iterator[None]:
    """Put back what the test changes."""
    yield
    on_host(f"rm -f {LATCH}")
    assert run("playbooks/data.yml")[0] == 0


def test_in_market_hours_no_layer_changes_the_host_and_host_and_roles_are_listed() -> None:
    before = on_host(STATE)
    status, out = run("playbooks/site.yml", trading_windows=OPEN, **CHANGES)
    assert on_host(STATE) == before
    assert status == 75, out
    frozen = re.search(
        r" frozen station until \w+ [\d-]+ (\S+) UTC \(.*?\): would change (.*?) log: ", " ".join(out.split())
    )
    assert frozen, out
    assert frozen[1] == OPEN[0]["until"]
    assert {role.split()[0] for role in frozen[2].split(", ")} >= {"base", "ssh", "redis", "services"}
    assert "next: run the same again" in out


def test_a_layer_that_runs_alone_and_a_deployment_obey_too() -> None:
    before = on_host(STATE)
    for playbook, variable in (("data", "redis_maxmemory_mib"), ("deploy", "services_drain_seconds")):
        status, out = run(f"playbooks/{playbook}.yml", trading_windows=OPEN, **{variable: CHANGES[variable]})
        assert status == 75, out
    assert on_host(STATE) == before


@pytest.mark.usefixtures("declared_again")
def test_an_override_changes_the_host_and_stands_in_its_journal_with_who_and_why() -> None:
    on_host("journalctl --rotate --quiet")
    words = ("--override", "fills look wrong")
    status, out = run("playbooks/data.yml", *words, trading_windows=OPEN, redis_maxmemory_mib=100)
    assert status == 0, out
    assert maxmemory_mib() == 100
    last = on_host("journalctl --identifier=fleet-override --output=cat --lines=1")
    assert re.search(r"^\S+ runs playbooks/data.yml on station in market hours \(.*\): fills look wrong$", last.strip())
    log = PROJECT / re.findall(r"^log: (\S+)$", out, re.MULTILINE)[-1]
    assert "fills look wrong" in " ".join(log.read_text().split())


@pytest.mark.usefixtures("declared_again")
def test_a_station_that_is_halted_is_not_frozen() -> None:
    on_host("station halt --reason 'a test of market hours'")
    status, out = run("playbooks/data.yml", trading_windows=OPEN, redis_maxmemory_mib=101)
    assert status == 0, out
    assert maxmemory_mib() == 101
