# SPDX-License-Identifier: Apache-2.0
"""What a run over several hosts does when one of them is down."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from fleet.paths import LAB_INVENTORY, PROJECT, VENV_BIN
from lab.containers import engine, hosts


@pytest.fixture
def laptop_down() -> Iterator[None]:
    container = hosts.existing(engine.connect())["laptop"]
    container.pause()
    try:
        yield
    finally:
        container.unpause()


@pytest.mark.usefixtures("laptop_down")
def test_the_others_converge_the_summary_names_the_host_that_is_down_and_the_status_is_not_zero() -> None:
    done = subprocess.run(
        [
            str(VENV_BIN / "python"),
            "-m",
            "fleet.run.playbook",
            "playbooks/base.yml",
            "--inventory",
            str(LAB_INVENTORY),
            "-l",
            "laptop,vps",
            "-T",
            "5",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert done.returncode != 0
    assert "unreachable laptop" in done.stdout
    assert " ok" in rows["vps"]
