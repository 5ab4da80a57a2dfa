# SPDX-License-Identifier: Apache-2.0
"""The kill switch on real hosts: by a broken inventory, past a silent host, and where Python is gone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.paths import LAB_INVENTORY, LAB_STATE, PROJECT
from lab.containers import engine, hosts

LATCH = "/var/lib/station/halt/latch"
REASON = """it's "10:00" `id` $HOME; drained"""


def on_host(script: str, host: str = "station") -> str:
    command = ["ssh", "-F", str(LAB_STATE / "ssh_config"), host, "sudo", "sh", "-s"]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout


def make_halt(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "-C", str(PROJECT), "halt", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def running() -> Iterator[None]:
    """Start again what the test halts."""
    on_host(f"rm -f {LATCH}")
    yield
    on_host(f"rm -f {LATCH}; systemctl start station.target")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return the lab's inventory with two hosts whose variables cannot be read, and two where nothing answers."""
    copy = tmp_path / "my fleet"
    (copy / "host_vars").mkdir(parents=True)
    for entry in LAB_INVENTORY.iterdir():
        if entry.name not in {"hosts.yml", "host_vars"}:
            (copy / entry.name).symlink_to(entry.resolve())
    for entry in (LAB_INVENTORY / "host_vars").iterdir():
        (copy / "host_vars" / entry.name).symlink_to(entry.resolve())
    text = (LAB_INVENTORY / "hosts.yml").read_text().replace("{{ inventory_dir }}/../..", str(PROJECT))
    text = text.replace("inventory_dir ~ '/../..", f"'{PROJECT}' ~ '")
    dead = "    dead1: {ansible_host: 10.77.0.201}\n    dead2: {ansible_host: 10.77.0.202}\n"
    (copy / "hosts.yml").write_text(text.replace("  hosts:\n", f"  hosts:\n{dead}", 1))
    for host, words in (("laptop", 'ansible_become_password: "{{ vault_closed }}"\n'), ("vps", "- a list\n")):
        (copy / "host_vars" / f"{host}.yml").unlink()
        (copy / "host_vars" / f"{host}.yml").write_text(words)
    return copy


@pytest.mark.usefixtures("running")
def test_everybody_who_can_be_reached_is_halted_and_the_others_are_named(broken: Path, tmp_path: Path):
    paused = hosts.existing(engine.connect())["ms01"]
    paused.pause()
    try:
        done = make_halt(tmp_path, f"INVENTORY={broken}", f"REASON={REASON}")
    finally:
        paused.unpause()
    assert done.returncode == 2, done.stdout + done.stderr  # make's status for a command that failed
    assert REASON.replace('"', '\\"') in on_host(f"cat {LATCH}")
    assert on_host("systemctl is-active station.target || true").strip() == "inactive"
    lines = {line.split()[0].rstrip(":"): line for line in (done.stdout + done.stderr).splitlines() if line}
    assert "orders are denied, station.target is stopped" in lines["station"]
    for host in ("aibox", "laptop", "vps"):
        assert "no kill switch here" in lines[host]
    for host in ("dead1", "dead2", "ms01"):
        assert "at its console" in lines[host]
    assert "halted 5 of 8 hosts" in done.stdout


@pytest.mark.usefixtures("running")
def test_a_limit_keeps_the_station_trading(tmp_path: Path):
    done = make_halt(tmp_path, "INVENTORY=inventory/lab", "LIMIT=vps")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "halted 1 of 1 hosts")
    assert on_host("systemctl is-active station.target").strip() == "active"


@pytest.mark.usefixtures("running")
def test_a_host_is_halted_by_hand_when_its_python_is_gone():
    said = on_host(
        "unshare --mount sh -c 'mount --bind /dev/null /opt/station/current/venv/bin/station"
        ' && station halt --reason "the release is broken"\''
    )
    assert said.endswith(": the release is broken\n")
    assert on_host("station halted || true") == said
