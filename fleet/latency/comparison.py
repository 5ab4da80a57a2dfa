# SPDX-License-Identifier: Apache-2.0
"""A run against the host's own baseline: which figure became worse by more than chance explains, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from fleet.hardware import cpus
from fleet.latency.histogram import METRICS
from fleet.latency.result import Figure, Result, Test

# The further out, the fewer samples decide and the more a figure moves between runs of the same machine.
ALLOWED = {"p50": 1.15, "p90": 1.2, "p99": 1.3, "p99.9": 1.5, "p99.99": 2.0, "max": 3.0}
# µs that are no difference: two buckets of the tools that count whole microseconds, hwlatdetect's threshold.
FLOOR = {"hwlatdetect": 10.0, "ping-pong": 0.5}
USUAL_FLOOR = 2.0
LONGER = 1.5  # a maximum grows with the number of samples: beyond this it is not compared
SHOWN_CHANGES = ("kernel", "command_line", "isolated", "left_empty", "nohz_full", "governor", "idle_driver", "tools")


class Status(IntEnum):
    """Exit statuses; docs/how-to/measure-latency.md explains them."""

    FINE = 0
    NOT_MEASURED = 1
    WRONG_CALL = 2
    REGRESSION = 3


@dataclass(frozen=True)
class Row:
    """One metric of one test, now and before. `state`: ok, worse, better, or not judged (`why`)."""

    test: str
    cpus: str
    metric: str
    before: float
    now: float
    allowed: float
    state: str
    why: str = ""

    @property
    def ratio(self) -> float | None:
        """Return now / before; none if there is nothing to divide by."""
        return self.now / self.before if self.before else None


@dataclass(frozen=True)
class Comparison:
    """A run against a baseline.

    Attributes:
        baseline_time: when the baseline was measured; empty without one.
        refusal: why nothing was compared; empty if it was.
        rows: every metric that both have.
        missing: tests of the baseline that this run could not make.
        changes: facts that differ, name -> (before, now).
        other_isolation: whether other CPUs are isolated than those of the baseline; `refusal` names them.
    """

    baseline_time: str = ""
    refusal: str = ""
    rows: tuple[Row, ...] = ()
    missing: tuple[str, ...] = ()
    changes: tuple[tuple[str, str, str], ...] = ()
    other_isolation: bool = False

    @property
    def worse(self) -> tuple[Row, ...]:
        """Return the rows that are a regression."""
        return tuple(row for row in self.rows if row.state == "worse")


@dataclass(frozen=True)
class Verdict:
    """What a run comes to, in one line and as an exit status; `kind` names the colour of the line."""

    kind: str
    line: str
    status: Status


def compare(now: Result, baseline: Result | None) -> Comparison:
    """Return a run against a baseline, or why they cannot be compared."""
    if baseline is None:
        return Comparison(refusal="no baseline is stored: --set-baseline stores this run as one")
    if (baseline.host, baseline.facts["cpu_model"]) != (now.host, now.facts["cpu_model"]):
        other = f"{baseline.host} with {baseline.facts['cpu_model']}"
        return Comparison(baseline.time, f"the stored baseline is of {other}: a host is compared with itself only")
    isolation = _other_isolation(now, baseline)
    # The load names the housekeeping CPUs, so it changes with the isolated ones, which say what is wrong.
    load = "the baseline was measured under another load: store a new one" if baseline.load != now.load else ""
    rows, missing = list[Row](), list[str]()
    for before in baseline.tests:
        test = now.test(before.key)
        if before.state != "ok":
            continue
        if test is None or test.state != "ok":
            missing.append(f"{before.name} on {before.cpus} CPUs")
        elif not (isolation or load):
            rows += _rows(test, before)
    changes = tuple(
        (name, str(old), str(new))
        for name in SHOWN_CHANGES
        if (old := baseline.facts.get(name, "")) != (new := now.facts.get(name, ""))
    )
    return Comparison(baseline.time, isolation or load, tuple(rows), tuple(missing), changes, bool(isolation))


def _other_isolation(now: Result, baseline: Result) -> str:
    """Say which CPUs were isolated and which are; empty if they are the same, or if none were."""
    then, found = (cpus.parse(str(result.facts.get("isolated", ""))) for result in (baseline, now))
    if not then or then == found:
        return ""
    return (
        f"CPUs {cpus.compose(then)} were isolated in the baseline, {cpus.compose(found) or 'none'} are now; "
        "`make site` brings back what is declared and `make verify` proves it; "
        "if this is meant, SET_BASELINE=1 stores a new baseline"
    )


def _rows(test: Test, before: Test) -> Iterator[Row]:
    if test.name == "hwlatdetect":
        found, known = (Figure(one.histogram.maximum, (), enough=True) for one in (test, before))
        yield _row(test, "max", found, known)
        return
    longer = test.histogram.total / before.histogram.total if before.histogram.total else 0.0
    for metric in METRICS:
        if metric in test.figures and metric in before.figures:
            why = ""
            if not (test.figures[metric].enough and before.figures[metric].enough):
                why = "too few samples"
            elif test.figures[metric].bound and before.figures[metric].bound:
                why = "above the tool's last bucket"
            elif metric == "max" and not 1 / LONGER <= longer <= LONGER:
                why = "the runs differ in length"
            yield _row(test, metric, test.figures[metric], before.figures[metric], why)


def _row(test: Test, metric: str, now: Figure, before: Figure, why: str = "") -> Row:
    # A baseline whose own repetitions differ by more than the limit cannot judge to that limit.
    allowed = max(ALLOWED[metric], before.spread)
    floor = FLOOR.get(test.name.split(maxsplit=1)[0], USUAL_FLOOR)
    state = "ok"
    if why:
        state = "not judged"
    elif now.median > before.median * allowed and now.median - before.median > floor:
        state = "worse"
    elif now.median * allowed < before.median and before.median - now.median > floor:
        state = "better"
    return Row(test.name, test.cpus, metric, before.median, now.median, allowed, state, why)


def judge(now: Result, comparison: Comparison) -> Verdict:
    """Return the verdict: what could not be measured and what became worse, before what is fine."""
    gaps = _gaps(now, comparison)
    if gaps:
        return Verdict("bad", gaps, Status.NOT_MEASURED)
    if now.is_virtual:
        line = f"Measured; not judged, because this is a virtual host ({now.facts['virtualization']})."
        return Verdict("none", line, Status.FINE)
    if comparison.worse:
        worst = max(comparison.worse, key=lambda row: row.ratio or float("inf"))
        times = f"{worst.ratio:.2f} times" if worst.ratio else "above"
        number = len(comparison.worse)
        line = (
            f"Regression: {number} figure{'s' * (number > 1)} worse than allowed; {worst.test} on {worst.cpus} CPUs, "
        )
        return Verdict("bad", f"{line}{worst.metric} is {times} the baseline.", Status.REGRESSION)
    if comparison.refusal:
        return Verdict("none", f"Measured; not judged: {comparison.refusal}.", Status.FINE)
    judged = sum(row.state != "not judged" for row in comparison.rows)
    return Verdict("good", f"No regression: {judged} figures hold against the baseline.", Status.FINE)


def _gaps(now: Result, comparison: Comparison) -> str:
    """Say what should have been measured and was not; empty if nothing is missing."""
    failed = sorted({f"{test.name} ({test.reason})" for test in now.tests if test.state == "failed"})
    if not any(test.state == "ok" for test in now.tests):
        return f"Nothing could be measured{': ' * bool(failed)}{'; '.join(failed)}."
    lines = [f"Isolation: {comparison.refusal}."] if comparison.other_isolation else []
    if failed:
        lines.append(f"Could not measure {'; '.join(failed)}.")
    # Without isolated CPUs every test on them is missing: the first line says it.
    if comparison.missing and not lines:
        lines.append(f"The baseline has what could not be measured now: {', '.join(comparison.missing)}.")
    return " ".join(lines)
