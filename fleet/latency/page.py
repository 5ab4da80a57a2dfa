# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fleet.hardware import cpus
from fleet.latency import svg
from fleet.latency.comparison import ALLOWED, Comparison, Verdict
from fleet.latency.histogram import METRICS
from fleet.latency.result import Result, Test

TEMPLATES = Path(__file__).parent / "templates"
# What each test says and what a good machine shows: 20 µs is Red Hat's limit in its latency tests (OpenShift
# documentation, "performing latency tests"); the rest is experience.
WORDS = {"impossible": "Not possible here", "failed": "Failed"}
ABOUT = {
    "hwlatdetect": (
        "Firmware",
        "How long the firmware holds the processor, whatever the kernel does (hwlatdetect). Good: nothing above 10 µs.",
    ),
    "oslat": (
        "Busy loop",
        "Time that a polling program loses between two passes of its loop (oslat, without real-time priority, under "
        "the load). A sample is one pass. Good on isolated cores: below 20 µs.",
    ),
    "osnoise": ("Noise", "Length of each piece of work that interrupts a busy CPU (rtla osnoise, under the load)."),
    "timerlat": (
        "Timer",
        "From the expiry of a timer until its real-time thread runs (rtla timerlat, under the load). Good with a "
        "real-time kernel on isolated cores: below 20 µs.",
    ),
    "cyclictest": (
        "Timer",
        "From the expiry of a timer until its real-time thread runs (cyclictest --default-system: idle states as the "
        "system sets them; under the load). Good with a real-time kernel on isolated cores: below 20 µs.",
    ),
    "ping-pong": (
        "UDP ping-pong",
        "Half of a round trip of 14 bytes through the kernel's sockets (sockperf, at most 10 000 messages/s, blocking "
        "receive, client and server on two cores, without the load).",
    ),
}


@dataclass(frozen=True)
class Section:
    """One test as the page shows it, on all CPU sets side by side."""

    title: str
    about: str
    refusals: Sequence[str]
    tests: Sequence[Test]
    plot: Markup


def sections(result: Result) -> list[Section]:
    """Return the parts of the page that show measurements, in the order of the run."""
    found = []
    for name in dict.fromkeys(test.name for test in result.tests):
        tests = [test for test in result.tests if test.name == name]
        kind, _, target = name.partition(" ")
        title, about = ABOUT[kind]
        if target:
            title += " over loopback" if target == "loopback" else f" to {target}"
        drawn = {} if kind == "hwlatdetect" else {test.cpus: test.histogram for test in tests}
        refusals = dict.fromkeys(f"{WORDS[test.state]}: {test.reason}" for test in tests if test.state != "ok")
        measured = [test for test in tests if test.state == "ok"]
        # Our own drawing: it holds numbers and the names of CPU sets only.
        drawing = Markup(svg.plot(drawn, f"{title}: histogram"))  # noqa: S704
        found.append(Section(title, about, tuple(refusals), measured, drawing))
    return found


def _ranges(text: str) -> str:
    return cpus.compose(cpus.parse(text))


def render(result: Result, comparison: Comparison, verdict: Verdict) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = svg.number
    environment.filters["ranges"] = _ranges
    return environment.get_template("page.html.j2").render(
        result=result,
        comparison=comparison,
        verdict=verdict,
        sections=sections(result),
        metrics=METRICS,
        allowed=ALLOWED,
    )
