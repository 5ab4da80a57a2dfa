# SPDX-License-Identifier: Apache-2.0
"""Run a plan: say each stage as it begins and what it took, stop at the first that fails, leave nothing behind."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from fleet.paths import PROJECT
from tools.stages.plan import Plan, Stage


@dataclass(frozen=True)
class Timing:
    """How many seconds a part took, and how many it is meant to take."""

    name: str
    seconds: float
    share: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a part came to: times in order, and of the first stage that failed its status, name and command."""

    timings: tuple[Timing, ...] = ()
    status: int = 0
    failed: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runner:
    """Runs plans.

    Attributes:
        say: takes one line for the person who waits.
        clock: returns seconds.
        lane: stands before every line where several plans run side by side.
        before: stands before the name of every part.
    """

    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    lane: str = ""
    before: str = ""

    def run(self, plan: Plan) -> Outcome:
        """Run a plan and return what it came to; an interrupt leaves nothing behind either."""
        outcome = self._clean(plan)
        if outcome.status != 0:
            return outcome
        try:
            outcome = self._together(plan) if plan.together else self._in_turn(plan)
        finally:
            cleaned = self._clean(plan)
        return outcome if outcome.status else replace(cleaned, timings=outcome.timings)

    def _clean(self, plan: Plan) -> Outcome:
        return replace(self._stage(plan.clean), timings=()) if plan.clean else Outcome()

    def _in_turn(self, plan: Plan) -> Outcome:
        timings: tuple[Timing, ...] = ()
        for part in plan.parts:
            outcome = self._part(part)
            timings += outcome.timings
            if outcome.status != 0:
                return replace(outcome, timings=timings)
        return Outcome(timings)

    def _together(self, plan: Plan) -> Outcome:
        with ThreadPoolExecutor(len(plan.parts)) as pool:
            outcomes = list(pool.map(lambda part: replace(self, lane=f"{part.name}: ")._part(part), plan.parts))
        timings = tuple(timing for outcome in outcomes for timing in outcome.timings)
        first = next((outcome for outcome in outcomes if outcome.status), Outcome())
        return replace(first, timings=timings)

    def _part(self, part: Stage | Plan) -> Outcome:
        if isinstance(part, Stage):
            return self._stage(part)
        began = self.clock()
        outcome = replace(self, before=f"{self.before}{part.name}: ").run(part)
        whole = Timing(f"{self.before}{part.name}", self.clock() - began, part.share)
        return replace(outcome, timings=(whole, *outcome.timings))

    def _stage(self, stage: Stage) -> Outcome:
        name = f"{self.before}{stage.name}"
        self.say(f"{self.lane}== {name} ...")
        began = self.clock()
        begun: list[tuple[str, float]] = []
        status = self._execute(stage, begun)
        ended = self.clock()
        if status != 0:
            self.say(f"{self.lane}== {name}: status {status} after {minutes(ended - began)}")
            return Outcome((), status, name, stage.command)
        self.say(f"{self.lane}== {name}: {minutes(ended - began)}")
        if not begun:
            return Outcome((Timing(name, ended - began, stage.share),))
        ends = [*(moment for _, moment in begun[1:]), ended]
        steps = zip(begun, ends, strict=True)
        return Outcome(tuple(Timing(f"{self.before}{step}", end - start) for (step, start), end in steps))

    def _execute(self, stage: Stage, begun: list[tuple[str, float]]) -> int:
        """Run a command and return the exit status as a shell would; note when its steps began."""
        piped = bool(self.lane or stage.steps)
        process = subprocess.Popen(
            stage.command,
            cwd=PROJECT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.STDOUT if piped else None,
            text=True,
            errors="replace",
        )
        reader = threading.Thread(target=self._follow, args=(process, stage, begun), daemon=True)
        reader.start()
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()  # the interrupt reached it too, and it may have to clean up
            raise
        reader.join(timeout=5)  # a forgotten child may keep the pipe open
        return status if status >= 0 else 128 - status

    def _follow(self, process: subprocess.Popen[str], stage: Stage, begun: list[tuple[str, float]]) -> None:
        for line in process.stdout or ():
            found = stage.steps.search(line) if stage.steps else None
            if found:
                begun.append((found["step"], self.clock()))
            self.say(f"{self.lane}{line.rstrip()}")


def minutes(seconds: float) -> str:
    """Return a time as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def say(line: str) -> None:
    """Print a line in one piece, so that lines of plans that run side by side do not mix."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def verdict(name: str, outcome: Outcome, seconds: float) -> str:
    """Return the last line: what failed and the command that did, or that all passed."""
    if outcome.status == 0:
        return f"{name}: all passed in {minutes(seconds)}"
    return f"{name}: stage `{outcome.failed}` failed with status {outcome.status}: {shlex.join(outcome.command)}"
