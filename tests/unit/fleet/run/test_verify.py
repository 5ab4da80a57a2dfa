# SPDX-License-Identifier: Apache-2.0
"""From pytest's run of checks to what a person reads: real checks of played hosts, in a process of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.paths import PROJECT
from fleet.run import follow, verify
from fleet.run.checks import Check, Standing

CONFTEST = """
import pytest
from fleet.run.checks import HostAwayError
from fleet.run.reporter import Reporter

def pytest_configure(config):
    config.pluginmanager.register(Reporter())

def pytest_generate_tests(metafunc):
    metafunc.parametrize("_name", ["vps", "vps-2", "gone"], scope="session")

@pytest.fixture(scope="session")
def host(_name):
    if _name == "gone":
        raise HostAwayError("gone cannot be reached at 192.0.2.1 port 22: Connection timed out")
    return _name
"""
CHECKS = """
import os, pytest

def test_the_clock_shows_the_zone(host):
    assert "CET" == "UTC"

@pytest.mark.parametrize("unit", ["cron", "ssh"])
def test_it_runs(host, unit):
    assert ("inactive, enabled" if (host, unit) == ("vps", "cron") else "active, enabled") == "active, enabled", unit

def test_a_program_gets_no_place_for_events(host):
    assert "FLEET_PROGRESS_FD" not in os.environ

def test_cards(host):
    pytest.skip("no card")

def test_a_fixture_that_ends_badly(host, request):
    request.addfinalizer(lambda: [].pop())
"""


@pytest.fixture
def checked(tmp_path: Path) -> tuple[Standing, int]:
    """Return what stands after a run of the checks above."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_base.py").write_text(CHECKS)
    standing = Standing()
    view = follow.View(standing.take, lambda: "")
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)]
    status = follow.run(command, {"PATH": "/usr/bin:/bin"}, tmp_path / "log", view, verbose=False)
    return standing, status


def of(standing: Standing, host: str, state: str) -> list[tuple[str, str]]:
    return [(check.name, check.message) for check in standing.checks if (check.host, check.state) == (host, state)]


def test_every_check_is_told_once_with_host_role_sentence_and_reason(checked: tuple[Standing, int]):
    standing, status = checked
    assert status == 1
    assert standing.planned == {(host, "base"): 6 for host in ("vps", "vps-2", "gone")}
    assert of(standing, "vps", "failed") == [
        ("the clock shows the zone", "declared UTC, found CET"),
        ("it runs (cron)", "cron: declared active, enabled, found inactive, enabled"),
        ("a fixture that ends badly", "IndexError: pop from empty list"),
    ]
    assert of(standing, "vps-2", "failed")[0][0] == "the clock shows the zone"
    assert [name for name, _ in of(standing, "vps", "passed")] == [
        "it runs (ssh)",
        "a program gets no place for events",
        "a fixture that ends badly",
    ]
    assert of(standing, "vps", "skipped") == [("cards", "no card")]


def test_a_host_that_is_away_is_no_failure_of_its_checks(checked: tuple[Standing, int]):
    standing, _ = checked
    reasons = {message for _, message in of(standing, "gone", "not checked")}
    assert (len(of(standing, "gone", "not checked")), of(standing, "gone", "failed")) == (6, [])
    assert reasons == {"gone cannot be reached at 192.0.2.1 port 22: Connection timed out"}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Return a function that plays `make verify` whose checks end in some states."""

    def made(*states: str) -> int:
        checks = [Check("base", "vps", "x", state, "why") for state in states]
        monkeypatch.setattr(verify, "run", lambda *_: verify.Outcome(checks, PROJECT / "build/logs/x.log"))
        return verify.main(["--inventory", str(tmp_path)])

    monkeypatch.setattr("fleet.run.verify.Fleet.of", lambda *_: None)
    return made


@pytest.mark.parametrize(
    ("states", "status", "following"),
    [
        (["passed", "skipped"], 0, ""),
        (["passed", "failed"], 1, "`make check` shows"),
        (["passed", "not checked"], 1, "start the hosts that are away"),
        (["failed", "not checked"], 1, "`make check` shows"),
    ],
)
def test_what_comes_next_is_right_for_what_happened(ran, capsys, states, status, following):
    assert ran(*states) == status
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"next: {following}") if following else "next:" not in last


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (4, "ERROR: tests/host/test_x.py: there is no role x"),
        (5, "no role of the chosen hosts has checks; is LIMIT right?"),
    ],
)
def test_checks_that_could_not_run_are_one_line_with_the_reason(monkeypatch, tmp_path, capsys, status: int, words):
    def run(*given: Any) -> int:
        given[2].write_text("x\nERROR: tests/host/test_x.py: there is no role x\n\n==== no tests ran ====\n")
        return status

    monkeypatch.setattr("fleet.run.logs.new", lambda name: tmp_path / f"{name}.log")
    monkeypatch.setattr(verify, "PROJECT", tmp_path)
    monkeypatch.setattr(follow, "run", run)
    monkeypatch.setattr("fleet.run.verify.Fleet.of", lambda *_: None)
    assert verify.main(["--inventory", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"failed the checks did not run: {words}" in lines
    assert not [line for line in lines if line.startswith(("-", "host"))]
    assert lines[-1] == "next: mend what is named above and run it again"
