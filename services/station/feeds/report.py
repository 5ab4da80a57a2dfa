# SPDX-License-Identifier: Apache-2.0
"""What the commands about data answer: figures that print as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from station.feeds.port import Finding
from station.feeds.quality import Gap
from station.feeds.reading import text

EXAMPLES = 20


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as aligned columns, figures to the right."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    figures = [bool(rows) and all(isinstance(row[index], int) for row in rows) for index in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if figure else cell.ljust(width)
            for cell, width, figure in zip(cells, widths, figures, strict=True)
        )
        return "  ".join(aligned).rstrip()

    return "\n".join(line(cells) for cells in (list(headings), *lines))


@dataclass(frozen=True, slots=True)
class Series:
    """How many bars of a symbol there are; times in microseconds UTC."""

    symbol: str
    bars: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load` or `check` saw.

    Attributes:
        series: the bars that are right, by symbol.
        findings: how often each kind of finding was made, by (symbol, kind).
        examples: the first of them.
    """

    series: tuple[Series, ...]
    findings: Mapping[tuple[str, str], int]
    examples: tuple[Finding, ...]

    @property
    def bars(self) -> int:
        """Return how many bars are right."""
        return sum(one.bars for one in self.series)

    @property
    def clean(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        """Return the tables."""
        rows = [(one.symbol, one.bars, text(one.first), text(one.last)) for one in self.series]
        parts = [table(("symbol", "bars", "first close", "last close"), rows) if rows else "no bars"]
        if self.findings:
            counts = [(symbol, kind, number) for (symbol, kind), number in sorted(self.findings.items())]
            parts.append(table(("symbol", "finding", "times"), counts))
            parts.append(_examples(self.examples, sum(self.findings.values())))
        return "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is missing."""

    gaps: tuple[Gap, ...]

    @property
    def bars(self) -> int:
        """Return how many bars are missing."""
        return sum(gap.bars for gap in self.gaps)

    def __str__(self) -> str:
        """Return the table."""
        if not self.gaps:
            return "no gaps"
        rows = [(gap.symbol, gap.bars, text(gap.first), text(gap.last)) for gap in self.gaps]
        return table(("symbol", "missing", "first close", "last close"), rows)


@dataclass(frozen=True, slots=True)
class Filled:
    """What `backfill` did.

    Attributes:
        found: bars that were added, one number a gap.
        gaps: what was asked for.
        stopped: why not all was asked for; empty: it was.
    """

    found: tuple[int, ...]
    gaps: tuple[Gap, ...]
    stopped: str = ""

    @property
    def bars(self) -> int:
        """Return how many bars were added."""
        return sum(self.found)

    @property
    def left(self) -> int:
        """Return how many are still missing."""
        return sum(gap.bars for gap in self.gaps) - self.bars

    def __str__(self) -> str:
        """Return the table."""
        if not self.gaps:
            return "no gaps"
        found = (*self.found, *[0] * (len(self.gaps) - len(self.found)))
        rows = [
            (gap.symbol, text(gap.first), text(gap.last), gap.bars, number, gap.bars - number)
            for gap, number in zip(self.gaps, found, strict=True)
        ]
        lines = table(("symbol", "first close", "last close", "missing", "added", "left"), rows)
        return f"{lines}\n\nstopped: {self.stopped}\nrun it again to go on" if self.stopped else lines


def _examples(examples: Sequence[Finding], number: int) -> str:
    rows = [(finding.symbol, finding.kind, text(finding.closed_at), finding.detail) for finding in examples]
    shown = table(("symbol", "finding", "close", "detail"), rows)
    return f"{shown}\n... {number - len(rows)} more" if number > len(rows) else shown
