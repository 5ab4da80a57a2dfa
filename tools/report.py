# SPDX-License-Identifier: Apache-2.0
"""What a measurement came to: rows in build/bench/<name>.json, a table for the terminal, a page for the reader."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from fleet.paths import BUILD
from tools.pages import markdown

RESULTS = BUILD / "bench"
HEAD = "<!-- Written by `make docs` and the benches from build/bench/*.json. -->\n\n# Performance\n"
COLUMNS = ("metric", "value", "baseline", "ratio", "goal", "met")


@dataclass(frozen=True)
class Goal:
    """What a figure shall be; of the figures that shall be great, such as rates, the other two.

    Attributes:
        below: the value must be less than this.
        ratio: the value must be at most this part of the baseline.
        above: the value must be at least this.
        ratio_above: the value must be at least this part of the baseline.
    """

    below: float | None = None
    ratio: float | None = None
    above: float | None = None
    ratio_above: float | None = None

    def text(self, unit: str) -> str:
        """Say the goal in words."""
        parts = [f"< {self.below:g} {unit}"] if self.below is not None else []
        parts += [f">= {self.above:,.0f} {unit}"] if self.above is not None else []
        parts += [f"ratio <= {self.ratio:g}"] if self.ratio is not None else []
        parts += [f"ratio >= {self.ratio_above:g}"] if self.ratio_above is not None else []
        return ", ".join(parts)

    def is_met(self, value: float, ratio: float | None) -> bool:
        """Say whether a figure reaches it; without a baseline a ratio is not reached."""
        return all(
            (
                self.below is None or value < self.below,
                self.above is None or value >= self.above,
                self.ratio is None or (ratio is not None and ratio <= self.ratio),
                self.ratio_above is None or (ratio is not None and ratio >= self.ratio_above),
            )
        )


@dataclass(frozen=True)
class Row:
    """One figure. Make it with `row`."""

    metric: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """Return what a person reads under `COLUMNS`."""
        return (
            self.metric,
            f"{_number(self.value)} {self.unit}".rstrip(),
            "" if self.baseline is None else f"{_number(self.baseline)} {self.unit}",
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.goal,
            "" if self.met is None else ("yes" if self.met else "no"),
        )


@dataclass(frozen=True)
class Section:
    """A part of the page: one measurement, how to repeat it and how it was made."""

    name: str
    title: str
    command: str
    method: str


def row(metric: str, value: float, unit: str, baseline: float | None = None, goal: Goal | None = None) -> Row:
    """Return a row with its ratio and whether it reaches the goal.

    Args:
        metric: what was measured.
        value: the figure.
        unit: its unit, and that of the baseline.
        baseline: the figure it is compared with.
        goal: what it shall be.
    """
    ratio = value / baseline if baseline else None
    if goal is None:
        return Row(metric, value, unit, baseline, ratio)
    return Row(metric, value, unit, baseline, ratio, goal.text(unit), goal.is_met(value, ratio))


def machine(load: float) -> list[Row]:
    """Return rows that say on what it was measured.

    Args:
        load: the load average before.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return [
        row("processors", len(os.sched_getaffinity(0)), ""),
        row("memory", round(memory), "GiB"),
        row("load before the first run", round(load, 2), ""),
    ]


def missed(rows: Iterable[Row]) -> int:
    """Say which goals were missed, and return the exit status: 1 if there is one."""
    wrong = [one for one in rows if one.met is False]
    for one in wrong:
        print(f"missed: {one.metric}: {_number(one.value)} {one.unit}, goal {one.goal}", file=sys.stderr)
    return int(bool(wrong))


def write(name: str, rows: Sequence[Row]) -> Path:
    """Write the rows of a measurement and return the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return file


def update(name: str, fresh: Row) -> Path:
    """Put one row into the rows of a measurement, in the place of an older one of the same metric."""
    return write(name, [*(row for row in read(name) if row.metric != fresh.metric), fresh])


def read(name: str) -> list[Row]:
    """Return the rows of a measurement, none if it was not made here."""
    file = RESULTS / f"{name}.json"
    return [Row(**values) for values in json.loads(file.read_text())] if file.exists() else []


def table(rows: Iterable[Row]) -> Table:
    """Return the rows for the terminal, without the baseline, which is a row of its own there."""
    result = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown = [title for title in COLUMNS if title != "baseline"]
    for title in shown:
        result.add_column(title, no_wrap=True, justify="right" if title in {"value", "ratio"} else "left")
    for one in rows:
        cells = dict(zip(COLUMNS, one.cells(), strict=True))
        colour = {True: "green", False: "red", None: ""}[one.met]
        result.add_row(*(cells[title] for title in shown), style=colour)
    return result


def page(sections: Iterable[Section], old: str = "") -> str:
    """Return the page of all measurements.

    Args:
        sections: its parts.
        old: the page as it is: a part that was not measured here is taken from it.
    """
    kept = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", old, re.MULTILINE))
    parts = [HEAD]
    for section in sections:
        rows = read(section.name)
        if rows:
            figures = markdown.table([title.capitalize() for title in COLUMNS], [one.cells() for one in rows])
            parts += [f"## {section.title}\n", f"{section.method}\n\nAgain: `{section.command}`\n", figures]
        elif section.title in kept:
            parts.append(f"## {section.title}\n{kept[section.title]}".rstrip() + "\n")
    return "\n".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.1f}"
