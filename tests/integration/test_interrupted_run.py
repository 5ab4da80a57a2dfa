# SPDX-License-Identifier: Apache-2.0
"""A run that is killed at any task and started again ends in the state that was asked for: no restart is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from fleet.paths import LAB_INVENTORY, LAB_STATE, PROJECT, VENV_BIN
from fleet.run import mitogen

COMMAND = [
    str(VENV_BIN / "ansible-playbook"),
    "-i",
    str(LAB_INVENTORY),
    "playbooks/data.yml",
    "--tags",
    "redis",
    "-l",
    "station",
]


def run_until(maxmemory_mib: int, last_changed_task: int | None) -> int:
    """Run the redis role; kill the whole run after its n-th changed task. Return how many tasks changed until then."""
    read_end, write_end = os.pipe()
    variables = (
        os.environ
        | mitogen.variables()
        | {
            "FLEET_PROGRESS_FD": str(write_end),
            "ANSIBLE_CALLBACKS_ENABLED": "progress",
        }
    )
    process = subprocess.Popen(
        [*COMMAND, "-e", json.dumps({"redis_maxmemory_mib": maxmemory_mib})],
        cwd=PROJECT,
        env=variables,
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(write_end)
    changed = 0
    with os.fdopen(read_end) as events:
        for line in events:
            event = json.loads(line)
            changed += event["event"] == "ok" and event["changed"]
            if changed == last_changed_task:
                os.killpg(process.pid, signal.SIGKILL)
                break
            if event["event"] == "stats":
                break
    process.wait()
    return changed


def running_maxmemory_mib() -> int:
    """Ask the running server through its exporter, not its file."""
    command = ["ssh", "-F", str(LAB_STATE / "ssh_config"), "station", "curl -s http://127.0.0.1:9121/metrics"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    value = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("redis_memory_max_bytes "))
    return int(float(value)) // 2**20


@pytest.fixture
def declared_again() -> Iterator[None]:
    yield
    subprocess.run(COMMAND, cwd=PROJECT, env=os.environ | mitogen.variables(), check=True, capture_output=True)


@pytest.mark.usefixtures("declared_again")
def test_killed_after_any_changed_task_the_next_run_ends_in_the_declared_state() -> None:
    tasks = run_until(100, None)
    assert tasks >= 2, "the change must touch a file and the running server"
    for number in range(1, tasks + 1):
        wanted = 100 + number
        run_until(wanted, number)
        run_until(wanted, None)
        assert running_maxmemory_mib() == wanted, f"after a kill behind changed task {number}"
