# SPDX-License-Identifier: Apache-2.0
"""The supervisor does what the units say."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.paths import PROJECT
from tests.servers.process import Process, until
from tests.servers.supervisor import QUESTDB, REDIS, SERVICE, Rule, Unit


@dataclass
class Ends(Process):
    """A program that ends at once."""

    folder: Path
    status: int = 1
    launched: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def launch(self) -> None:
        self.launched += 1
        self.process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({self.status})"])
        self.process.wait()

    def answers(self) -> bool:
        return False


@pytest.fixture
def program(tmp_path: Path) -> Ends:
    made = Ends(tmp_path)
    made.launch()
    return made


@pytest.mark.parametrize(
    ("rule", "template"),
    [
        (REDIS, "redis/templates/redis-server@bus.conf.j2"),
        (QUESTDB, "questdb/templates/questdb.service.j2"),
        (SERVICE, "services/templates/station@.service.j2"),
    ],
)
def test_the_rules_are_those_of_the_roles(rule: Rule, template: str) -> None:
    text = (PROJECT / "roles" / template).read_text()
    said = dict(
        re.findall(r"^(Restart|RestartSec|StartLimitIntervalSec|StartLimitBurst)=([\w-]+)$", text, re.MULTILINE)
    )
    assert float(said["RestartSec"].rstrip("s")) == rule.after_s
    assert said["Restart"] == ("always" if rule.always else "on-failure")
    assert ("RestartPreventExitStatus=2" in text) is not rule.always
    limit = (float(said["StartLimitIntervalSec"]), int(said.get("StartLimitBurst", 0)))
    assert limit == (0, 0) if rule.burst is None else limit == (rule.interval_s, rule.burst)


def test_what_died_is_started_after_its_time(program):
    unit = Unit(program, SERVICE)
    assert unit.settled
    for now in (10.0, 10.9):
        unit.look(now)
    assert program.launched == 1
    assert not unit.settled
    unit.look(11.0)
    assert (program.launched, unit.starts, unit.settled) == (2, 1, True)


@pytest.mark.parametrize("status", [0, 2])
def test_a_service_that_ended_by_itself_or_refused_stays_down(tmp_path, status):
    program = Ends(tmp_path, status)
    program.launch()
    unit = Unit(program, SERVICE)
    for now in (10.0, 20.0):
        unit.look(now)
    assert (program.launched, unit.failed) == (1, f"ended with status {status}")


def test_a_server_that_keeps_dying_stays_down_after_some_starts(program):
    unit = Unit(program, QUESTDB)
    for now in range(100):
        unit.look(float(now))
    assert (unit.starts, unit.failed) == (5, "started 5 times within 300 s")


def test_starts_of_long_ago_are_forgotten(program):
    unit = Unit(program, Rule(1.0, burst=2, interval_s=10.0))
    for now in range(0, 100, 5):
        unit.look(float(now))
    assert (unit.starts, unit.failed) == (10, "")


def test_it_waits_for_what_has_to_be_so_before_a_start(program):
    allowed: list[bool] = []
    unit = Unit(program, SERVICE, lambda: bool(allowed))
    for now in (10.0, 20.0):
        unit.look(now)
    assert program.launched == 1
    allowed.append(True)
    unit.look(21.0)
    assert program.launched == 2


def test_what_was_ended_on_purpose_stays_down(program):
    unit = Unit(program, SERVICE)
    unit.look(10.0)
    program.kill()
    unit.look(20.0)
    assert (program.launched, unit.failed) == (1, "")


def test_a_program_that_ends_while_it_starts_is_told_with_its_last_words(tmp_path):
    program = Ends(tmp_path)
    program.log.write_text("no room")
    with pytest.raises(RuntimeError, match="it ended: no room"):
        program.start()


def test_waiting_ends_after_its_time():
    with pytest.raises(TimeoutError, match=r"a miracle: not within 0\.05 s"):
        until(lambda: False, "a miracle", 0.05)
