# SPDX-License-Identifier: Apache-2.0
"""What counts as a run that changed nothing, and what its figures are compared with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fleet.errors import UserError
from fleet.run import mitogen
from lab.containers import hosts
from tests.performance import site
from tools.pages import performance

HOSTS = ("station", "vps")
QUIET = """
PLAY RECAP *********************************************************************
localhost                  : ok=1    changed=0    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
station                    : ok=57   changed=0    unreachable=0    failed=0    skipped=3    rescued=0    ignored=0
vps                        : ok=31   changed=0    unreachable=0    failed=0    skipped=2    rescued=0    ignored=0
"""


@pytest.fixture(autouse=True)
def two_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "planned", lambda: dict.fromkeys(HOSTS, "10.0.0.1"))


def test_a_run_that_changed_nothing_counts():
    assert site.refusal(QUIET, HOSTS) == ""


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("ok=31   changed=0", "ok=31   changed=2", "vps changed=2"),
        (
            "changed=0    unreachable=0    failed=0    skipped=3",
            "changed=0 unreachable=0 failed=1 skipped=3",
            "station failed=1",
        ),
        ("ok=31   changed=0    unreachable=0", "ok=3 changed=0 unreachable=1", "vps unreachable=1"),
        ("vps  ", "vsp  ", "vps was not reached"),
    ],
)
def test_any_other_run_is_refused_with_host_and_reason(old: str, new: str, why: str):
    assert old in QUIET
    assert site.refusal(QUIET.replace(old, new), HOSTS) == why


def test_a_run_without_a_recap_is_refused():
    assert site.refusal("[ERROR]: the role was not found", HOSTS) == "station was not reached, vps was not reached"


def test_the_figures_are_medians_and_the_last_setting_has_the_goal():
    times = {"defaults": [200.0, 100.0, 900.0], "ours": [80.0, 90.0, 85.0], "faster": [30.0, 31.0, 40.0]}
    rows = {row.metric: row for row in site.rows("site.yml", times, load=0.1)}
    faster = rows["site.yml, faster"]
    assert (faster.value, faster.baseline, faster.ratio, faster.met) == (31.0, 200.0, 0.155, True)
    assert rows["site.yml, ours"].ratio == 0.425
    assert rows["site.yml, ours"].met is None
    assert rows["spread, defaults"].value == 800.0
    assert rows["runs of each"].value == 3


def test_a_refused_run_writes_no_figure_and_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    page = tmp_path / "performance.md"
    monkeypatch.setattr(site, "PROJECT", tmp_path)
    monkeypatch.setattr(site, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(site, "DEFAULTS_CONFIG", tmp_path / "defaults.cfg")
    monkeypatch.setattr(performance, "PAGE", page)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1))

    def run(command, stdout=None, **_):
        if stdout is not None:
            stdout.write(QUIET.replace("ok=31   changed=0", "ok=31   changed=1"))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert site.main(["--repeat", "1"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["bench-site: no figure for ansible-core's defaults: vps changed=1 (log: logs/setting-1-run-1.log)"]
    assert not page.exists()


def test_the_default_settings_hold_nothing_that_makes_ansible_faster():
    words = ("pipelining", "forks", "ssh_args", "gathering", "fact_caching", "strategy", "control_path")
    assert not [word for word in words if word in site.DEFAULTS]


def test_without_a_supported_mitogen_nothing_is_measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mitogen, "variables", dict)
    with pytest.raises(UserError, match="do not support each other"):
        site.settings()
