# SPDX-License-Identifier: Apache-2.0
"""A plan says what it does and how long it took, stops at what fails, keeps the status, and leaves nothing behind."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.paths import PROJECT
from tools.stages.plan import Plan, Stage
from tools.stages.run import Outcome, Runner, Timing, minutes, verdict


def python(name: str, code: str, **more) -> Stage:
    return Stage(name, (sys.executable, "-c", code), **more)


def touch(name: str, file: Path) -> Stage:
    return python(name, f"open({str(file)!r}, 'a').write('{name} ')")


FAIL = python("fail", "import sys; sys.exit(7)")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def runner(said) -> Runner:
    """Return a runner whose clock goes on by a minute each time it is read."""
    return Runner(said.append, clock=map(float, itertools.count(0, 60)).__next__)


def test_stages_run_in_order_and_each_is_said_when_it_begins_and_timed(runner, said, tmp_path):
    log = tmp_path / "log"
    outcome = runner.run(Plan("whole", (touch("one", log), touch("two", log))))
    assert log.read_text().split() == ["one", "two"]
    assert outcome == Outcome((Timing("one", 60), Timing("two", 60)))
    assert said == ["== one ...", "== one: 1:00", "== two ...", "== two: 1:00"]


def test_the_first_stage_that_fails_is_named_with_its_status_and_nothing_follows_it(runner, said, tmp_path):
    log = tmp_path / "log"
    inner = Plan("inner", (touch("one", log), FAIL, touch("two", log)))
    outcome = runner.run(Plan("whole", (inner, touch("three", log))))
    assert log.read_text().split() == ["one"]
    assert (outcome.status, outcome.failed, outcome.command) == (7, "inner: fail", FAIL.command)
    assert said[-1] == "== inner: fail: status 7 after 1:00"
    assert "stage `inner: fail` failed with status 7: " in verdict("whole", outcome, 100)


def test_a_command_that_a_signal_ends_has_the_status_of_a_shell(runner):
    outcome = runner.run(Plan("whole", (python("killed", "import os; os.kill(os.getpid(), 9)"),)))
    assert outcome.status == 128 + 9


@pytest.mark.parametrize("part", [python("fine", ""), FAIL], ids=["passes", "fails"])
def test_what_a_plan_needs_gone_is_removed_before_and_after_it(runner, tmp_path, part):
    log = tmp_path / "log"
    plan = Plan("whole", (touch("one", log), part), clean=touch("clean", log))
    outcome = runner.run(plan)
    assert log.read_text().split() == ["clean", "one", "clean"]
    assert (outcome.status == 0) is (part is not FAIL)
    assert "clean" not in [timing.name for timing in outcome.timings]


def test_what_cannot_be_removed_is_a_failure_and_stops_the_plan_at_its_beginning(runner, tmp_path):
    log = tmp_path / "log"
    outcome = runner.run(Plan("whole", (touch("one", log),), clean=FAIL))
    assert (outcome.status, outcome.failed) == (7, "fail")
    assert not log.exists()


def test_a_plan_within_a_plan_is_timed_as_a_whole_and_by_its_stages(runner):
    plan = Plan("whole", (Plan("inner", (python("one", ""), python("two", "")), share=90),))
    names = [(timing.name, timing.share) for timing in runner.run(plan).timings]
    assert names == [("inner", 90), ("inner: one", None), ("inner: two", None)]


def test_plans_side_by_side_really_are_and_each_line_says_whose_it_is(said, tmp_path):
    # Each waits for what the other one writes.
    meet = "import pathlib, time\npathlib.Path({!r}).touch()\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)\n"
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    parts = (
        Plan("a", (python("meet", meet.format(a, b) + "print('hello')"),)),
        Plan("b", (python("meet", meet.format(b, a)), FAIL)),
    )
    outcome = Runner(said.append).run(Plan("whole", parts, together=True))
    assert "a: hello" in said
    assert (outcome.status, outcome.failed) == (7, "b: fail")
    assert [timing.name for timing in outcome.timings] == ["a", "a: meet", "b", "b: meet"]


def test_the_steps_of_a_command_are_timed_by_the_lines_with_which_they_begin(runner, said):
    stage = python("tool", "print('begin x\\nwords\\nbegin y')", steps=re.compile(r"begin (?P<step>\w)"))
    outcome = runner.run(Plan("whole", (stage,)))
    assert [timing.name for timing in outcome.timings] == ["x", "y"]
    assert sum(timing.seconds for timing in outcome.timings) == 120
    assert "words" in said


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    log = tmp_path / "log"
    code = (
        # A shell starts what runs behind it with the interrupt ignored, and the children inherit that.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from pathlib import Path; from tools.stages.plan import *; from tools.stages.run import *\n"
        f"touch = lambda name: Stage(name, (sys.executable, '-c', f\"open({str(log)!r}, 'a').write('{{name}} ')\"))\n"
        "wait = Stage('wait', (sys.executable, '-c', 'import time; time.sleep(60)'))\n"
        "Runner(say).run(Plan('whole', (wait, touch('late')), clean=touch('clean')))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any("wait ..." in line for line in process.stdout)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert log.read_text().split() == ["clean", "clean"]


def test_times_are_minutes_and_seconds():
    assert [minutes(seconds) for seconds in (0.4, 59.9, 60, 3605)] == ["0:00", "0:59", "1:00", "60:05"]
