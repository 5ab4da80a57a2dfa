# SPDX-License-Identifier: Apache-2.0
"""A release that does not become ready goes back by itself, and leaves nothing for the next run to do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.model.model import Fleet
from fleet.paths import LAB_INVENTORY, PROJECT, VENV_BIN
from lab.containers import engine, hosts

HOST = "station"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Give services of which one is right on paper and cannot run: its file of bars is not there."""
    services = json.loads(
        json.dumps(Fleet.load(LAB_INVENTORY, PROJECT).settings(HOST)["services_instances"], default=str)
    )
    replays = [one for one in services if one.get("feed", {}).get("source") == "replay"]
    replays[0]["feed"]["files"][0]["path"] = "/opt/station/data/none.csv"
    file = tmp_path / "broken.json"
    file.write_text(json.dumps({"services_instances": services}))
    return file


@pytest.fixture
def on_host() -> Callable[..., str]:
    """Return a function that runs a command on the host and returns what it prints."""
    container = hosts.existing(engine.connect())[HOST]
    return lambda *words: hosts.run_inside(container, list(words))[1]


def run(playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(VENV_BIN / "python"), "-m", "fleet.run.playbook", playbook, "--inventory", str(LAB_INVENTORY)]
    return subprocess.run([*command, "--limit", HOST, *words], cwd=PROJECT, capture_output=True, text=True, check=False)


def test_a_deploy_that_goes_back_says_so_and_drift_is_silent_after_it(
    broken: Path, on_host: Callable[..., str]
) -> None:
    confirmed = on_host("cat", "/opt/station/confirmed")
    deployed = run("playbooks/deploy.yml", "--extra-vars", f"@{broken}")
    assert deployed.returncode != 0, deployed.stdout
    assert f"went back to release {' with files '.join(confirmed.split())}, which is ready" in deployed.stdout
    assert "what is done stays done" in deployed.stdout
    assert on_host("cat", "/opt/station/confirmed") == on_host("cat", "/etc/station/release") == confirmed
    drift = run("playbooks/services.yml", "--check", "--expect-no-change")
    assert (drift.returncode, drift.stderr) == (0, ""), drift.stdout
    assert "next: nothing, the hosts are as declared" in drift.stdout
