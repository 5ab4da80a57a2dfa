# SPDX-License-Identifier: Apache-2.0
"""The result of a run: the raw words of the tools become figures, and figures become a file and come back from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from fleet.latency.histogram import METRICS, Histogram, make, merge
from fleet.latency.parsing import PARSERS, ParseError

SCHEMA = 1  # of result.json and baseline.json
RAW_SCHEMA = 1  # of what roles/latency/files/latency_run.py writes


class ResultError(ValueError):
    """A file that is no result this version can read."""


@dataclass(frozen=True)
class Figure:
    """One metric: of all samples together and of each repetition.

    Attributes:
        value: in µs.
        repetitions: the same of each repetition.
        enough: whether every repetition has the samples to judge it.
        bound: whether it lies above the tool's last bucket, so that the value is only an upper bound.
    """

    value: float
    repetitions: tuple[float, ...]
    enough: bool
    bound: bool = False

    @property
    def median(self) -> float:
        """Return the median of the repetitions: one disturbed repetition does not decide."""
        return median(self.repetitions) if self.repetitions else self.value

    @property
    def spread(self) -> float:
        """Return how far the worst repetition lies above the median, as a ratio."""
        return max(self.repetitions) / self.median if self.repetitions and self.median else 1.0


@dataclass(frozen=True)
class Test:
    """One test on one CPU set. `state` is ok, impossible or failed; the last two say why in `reason`."""

    __test__ = False  # pytest: a test of latencies, not of this project

    name: str
    cpus: str
    cpu_list: str
    state: str
    reason: str
    command: str
    lost: int
    figures: Mapping[str, Figure]
    histogram: Histogram

    @property
    def key(self) -> tuple[str, str]:
        """Return what names it across runs."""
        return self.name, self.cpus


@dataclass(frozen=True)
class Result:
    """A whole run on one host; `facts` as the host told them."""

    time: str
    took_seconds: int
    seconds: int
    repetitions: int
    load: str
    facts: Mapping[str, Any]
    tests: tuple[Test, ...]

    @property
    def host(self) -> str:
        """Return the host's name in the inventory."""
        return str(self.facts["host"])

    @property
    def is_virtual(self) -> bool:
        """Say whether the host is a virtual machine or a container, whose latencies are its host's."""
        return str(self.facts.get("virtualization")) not in {"none", "unknown"}

    def test(self, key: tuple[str, str]) -> Test | None:
        """Return one test by its key."""
        return next((test for test in self.tests if test.key == key), None)


def from_raw(raw: Mapping[str, Any]) -> Result:
    """Return the result of what a host's runner wrote.

    Raises:
        ResultError: it is not of the schema that this version knows.
    """
    if raw.get("schema") != RAW_SCHEMA:
        raise ResultError(f"the runner wrote schema {raw.get('schema')}, this version reads {RAW_SCHEMA}")
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in raw["steps"]:
        groups.setdefault((entry["step"]["test"], entry["step"]["cpus"]), []).append(entry)
    return Result(
        time=str(raw["time"]),
        took_seconds=int(raw["took_seconds"]),
        seconds=int(raw["seconds"]),
        repetitions=int(raw["repetitions"]),
        load=str(raw["load"]),
        facts=raw["facts"],
        tests=tuple(_test(entries) for entries in groups.values()),
    )


def _test(entries: Sequence[Mapping[str, Any]]) -> Test:
    step = entries[0]["step"]
    state, reason, histograms, lost = "ok", "", list[Histogram](), 0
    for entry in entries:
        outcome = entry["outcome"]
        if outcome["status"] != "ok":
            state, reason = outcome["status"], outcome["reason"]
            break
        try:
            histograms.append(PARSERS[step["test"].split(maxsplit=1)[0]](outcome["result"]))
        except ParseError as error:
            state, reason = "failed", str(error)
            break
        lost += json.loads(outcome["result"]).get("lost", 0) if step["target"] else 0
    if state != "ok":
        histograms = []
    name, cpus, cpu_list = str(step["test"]), str(step["cpus"]), str(step["cpu_list"])
    whole = merge(histograms)
    found = {} if name == "hwlatdetect" else figures(histograms)
    return Test(name, cpus, cpu_list, state, reason, str(step["command"]), lost, found, whole)


def figures(repetitions: Sequence[Histogram]) -> dict[str, Figure]:
    """Return every metric of the repetitions of one test; none if there was no sample."""
    whole = merge(repetitions)
    if not whole.total:
        return {}
    return {
        metric: Figure(
            whole.figure(metric),
            tuple(one.figure(metric) for one in repetitions if one.total),
            all(one.supports(metric) for one in repetitions),
            whole.is_bound(metric),
        )
        for metric in METRICS
    }


def dump(result: Result) -> dict[str, Any]:
    """Return a result as what JSON can hold."""
    tests = []
    for test in result.tests:
        values = asdict(test)
        histogram = test.histogram
        values["count"] = histogram.total
        values["histogram"] = {
            "buckets": [[value, count] for value, count in histogram.counts.items()],
            "overflow": histogram.overflow,
            "minimum": histogram.minimum,
            "maximum": histogram.maximum,
        }
        tests.append(values)
    return {"schema": SCHEMA, **asdict(result), "tests": tests}


def load(file: Path) -> Result:
    """Read a result or a baseline.

    Raises:
        ResultError: the file is none, or of another schema.
    """
    try:
        values = json.loads(file.read_text())
        if values["schema"] != SCHEMA:
            raise ResultError(f"{file} is of schema {values['schema']}, this version reads {SCHEMA}")
        fields = {name: values[name] for name in Result.__dataclass_fields__}
        return Result(**{**fields, "tests": tuple(_tests(values["tests"]))})
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"{file} is no result of a latency run: {error}") from error


def _tests(entries: Iterable[Mapping[str, Any]]) -> Iterable[Test]:
    for entry in entries:
        found = entry["histogram"]
        counts = {float(value): int(count) for value, count in found["buckets"]}
        histogram = make(counts, found["overflow"], found["minimum"], found["maximum"])
        read = {
            name: Figure(one["value"], tuple(one["repetitions"]), one["enough"], one["bound"])
            for name, one in entry["figures"].items()
        }
        fields = {name: entry[name] for name in Test.__dataclass_fields__}
        yield Test(**{**fields, "figures": read, "histogram": histogram})
