# SPDX-License-Identifier: Apache-2.0
"""What a host says of itself while its markets are open, and what that means."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from plugins.action import market_hours

RUNNING = "station@feed-replay.service loaded active running Station service replay"


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that looks at a host on which systemctl prints these lines and ends with this status."""
    monkeypatch.setattr(market_hours, "LATCH", f"{tmp_path}/la tch")

    def run(*lines: str, latch: bool = False, status: int = 0) -> tuple[str, str]:
        script = "\n".join(["#!/bin/sh", f'echo "$*" > {tmp_path}/asked', *(f"echo '{line}'" for line in lines)])
        (tmp_path / "systemctl").write_text(f"{script}\nexit {status}\n")
        (tmp_path / "systemctl").chmod(0o755)
        if latch:
            (tmp_path / "la tch").touch()
        command = market_hours.look(["station.target", "station@*.service"])
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
        return market_hours.nothing_trades(done.returncode, done.stdout), (tmp_path / "asked").read_text()

    return run


def test_a_host_on_which_no_unit_runs_trades_nothing(look):
    idle, asked = look()
    assert idle == "none of its trading_units runs"
    assert asked.endswith("-- station.target station@*.service\n")


@pytest.mark.parametrize("state", ["active", "activating", "deactivating", "reloading", "maintenance"])
def test_a_unit_that_runs_starts_or_still_drains_trades(look, state):
    assert look(f"station.target loaded {state} any All services")[0] == ""


def test_units_that_failed_or_are_listed_for_a_job_do_not_trade(look):
    assert look("station@a.service loaded failed failed x", "station@b.service loaded inactive dead start y")[0]


def test_a_host_whose_kill_switch_is_engaged_trades_nothing_whatever_runs(look):
    assert look(RUNNING, latch=True)[0] == "the kill switch is engaged"
    assert look(RUNNING)[0] == "the kill switch is engaged"  # the file is still there


@pytest.mark.parametrize(("lines", "status"), [((), 1), ((), 127), (("what is this",), 0)])
def test_where_nobody_can_tell_the_host_is_taken_to_trade(look, lines, status):
    assert look(*lines, status=status)[0] == ""


def test_the_user_behind_sudo_is_who_overrides():
    assert market_hours.who({"SUDO_USER": "ada"}) == "ada"
    assert market_hours.who({})
