# SPDX-License-Identifier: Apache-2.0
"""Run one of the long tests: `python -m tools.stages NAME`. The times go to build/bench/NAME.json."""

from __future__ import annotations

import argparse
import os
import sys
import time

from fleet import terminal
from fleet.paths import PROJECT
from tools import report
from tools.stages import run
from tools.stages.plan import plans


def rows(name: str, outcome: run.Outcome, seconds: float, share: float | None, load: float) -> list[report.Row]:
    """Return the rows of a run: each part, the whole, the machine.

    Args:
        name: what was run.
        outcome: what it came to.
        seconds: what the whole took.
        share: what it is meant to take.
        load: the machine's load average before.
    """
    timings = [*outcome.timings, run.Timing(f"make {name}", seconds, share)]
    return [
        *(report.row(one.name, round(one.seconds), "s", goal=_goal(one.share)) for one in timings),
        *report.machine(load),
    ]


def _goal(share: float | None) -> report.Goal | None:
    return None if share is None else report.Goal(below=share)


def main(arguments: list[str] | None = None) -> int:
    """Run it, print and write the times, and return the status of the stage that failed; a slow run is no failure."""
    known = plans()
    parser = argparse.ArgumentParser(prog="python -m tools.stages", description=__doc__)
    parser.add_argument("name", choices=known)
    name = parser.parse_args(arguments).name
    load, began = os.getloadavg()[0], time.monotonic()
    try:
        outcome = run.Runner(run.say).run(known[name])
    except KeyboardInterrupt:
        print(f"{name}: interrupted; what it had started is removed", file=sys.stderr)
        return 130
    seconds = time.monotonic() - began
    if outcome.status == 0:
        result = rows(name, outcome, seconds, known[name].share, load)
        terminal.console().print(report.table(result))
        report.missed(result)
        print(f"wrote {report.write(name, result).relative_to(PROJECT)}")
    print(run.verdict(name, outcome, seconds))
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
