# SPDX-License-Identifier: Apache-2.0
"""Histograms as SVG: latency and number of samples both on a logarithmic scale, one outline a CPU set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from fleet.latency.histogram import Histogram

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 30, 12, 40
STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)  # edges in one decade, nearly even on a logarithmic scale
LEAST = 0.5  # samples at the foot of the plot: one sample is still a bar


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis from `low` to `high` on the pixels `begin` to `end`."""

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value; outside it is the nearer end."""
        inside = min(max(value, self.low), self.high)
        part = math.log(inside / self.low) / math.log(self.high / self.low)
        return round(self.begin + part * (self.end - self.begin), 1)

    def decades(self) -> list[float]:
        """Return the powers of ten on the axis."""
        first, last = math.ceil(round(math.log10(self.low), 9)), math.floor(round(math.log10(self.high), 9))
        return [10.0**power for power in range(first, last + 1)]


def edges(low: float, high: float, whole: bool) -> list[float]:
    """Return bin edges that cover low to high.

    Args:
        low: smallest latency.
        high: largest latency.
        whole: the tool counts whole microseconds, so below 10 µs a bin is one of them.
    """
    found = [0.5] if whole else []
    power = 0 if whole else math.floor(math.log10(max(low, 0.01)))
    while True:
        steps = range(1, 10) if whole and power == 0 else STEPS
        for step in steps:
            found.append(step * 10.0**power)
            if found[-1] > high:
                first = max((index for index, edge in enumerate(found) if edge <= low), default=0)
                return found[first:]
        power += 1


def bins(histogram: Histogram, borders: Sequence[float]) -> list[int]:
    """Return the number of samples between each two edges, without those above the tool's last bucket."""
    found = [0] * (len(borders) - 1)
    place = 0
    for value, count in histogram.counts.items():
        while place < len(found) - 1 and value >= borders[place + 1]:
            place += 1
        found[place] += count
    return found


def plot(series: Mapping[str, Histogram], title: str) -> str:
    """Return an SVG of some histograms; an empty text if none has samples.

    Args:
        series: name -> histogram; the name is the CSS class of its outline.
        title: what a screen reader says.
    """
    full = {name: histogram for name, histogram in series.items() if histogram.total}
    if not full:
        return ""
    whole = all(value == int(value) for one in full.values() for value in one.counts)
    low = min(min((*one.counts, one.maximum)) for one in full.values())
    high = max(one.maximum for one in full.values())
    borders = edges(low, max(high, low), whole)
    counted = {name: bins(one, borders) for name, one in full.items()}
    across = Axis(borders[0], borders[-1], LEFT, WIDTH - RIGHT)
    most = max(max(*numbers, full[name].overflow, 1) for name, numbers in counted.items())
    upward = Axis(LEAST, 10 ** math.ceil(math.log10(most + 1)), HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg">',
        *_grid(across, upward),
        *(_outline(name, numbers, borders, across, upward) for name, numbers in counted.items()),
        *(_beyond(name, one, borders, across, upward) for name, one in full.items() if one.overflow),
        *(_limit(name, one, across) for name, one in full.items()),
        "</svg>",
    ]
    return "\n".join(parts)


def _grid(across: Axis, upward: Axis) -> list[str]:
    foot, lines = HEIGHT - BOTTOM, list[str]()
    counts = upward.decades()
    for count in counts[:: max(1, math.ceil(len(counts) / 5))]:
        y = upward.at(count)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="label" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{short(count)}</text>')
    ticks = [factor * decade for decade in (across.low, *across.decades()) for factor in (1, 2, 5)]
    marks = sorted({tick for tick in ticks if tick in across.decades() or across.high / across.low < 200})
    for value in (mark for mark in marks if across.low <= mark <= across.high):
        x = across.at(value)
        lines.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{foot}"/>')
        lines.append(f'<text class="label" x="{x}" y="{foot + 15}" text-anchor="middle">{number(value)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">latency in µs</text>')
    turned = f"translate(12 {(TOP + foot) / 2}) rotate(-90)"
    lines.append(f'<text class="label" transform="{turned}" text-anchor="middle">samples</text>')
    return lines


def _outline(name: str, numbers: Sequence[int], borders: Sequence[float], across: Axis, upward: Axis) -> str:
    foot = HEIGHT - BOTTOM
    path = [f"M{across.at(borders[0])} {foot}"]
    for index, count in enumerate(numbers):
        y = upward.at(count) if count else foot
        path += [f"V{y}", f"H{across.at(borders[index + 1])}"]
    return f'<path class="{escape(name)}" d="{"".join(path)}V{foot}Z"/>'


def _beyond(name: str, histogram: Histogram, borders: Sequence[float], across: Axis, upward: Axis) -> str:
    """Draw the samples above the last bucket, of which only their number and the largest are known."""
    last = max(histogram.counts, default=borders[0])
    begin = across.at(next((edge for edge in borders if edge > last), borders[-1]))
    y, width = upward.at(histogram.overflow), max(across.at(histogram.maximum) - begin, 3)
    words = f"{name}: {number(histogram.overflow)} samples above {number(last)} µs"
    place = f'x="{begin}" y="{y}" width="{width:.1f}" height="{HEIGHT - BOTTOM - y:.1f}"'
    return f'<rect class="{escape(name)} beyond" {place}><title>{escape(words)}</title></rect>'


def _limit(name: str, histogram: Histogram, across: Axis) -> str:
    x, foot = across.at(histogram.maximum), HEIGHT - BOTTOM
    words = f"{name}: maximum {number(histogram.maximum)} µs"
    points = f"{x - 4},{foot + 1} {x + 4},{foot + 1} {x},{foot - 6}"
    return f'<polygon class="{escape(name)} mark" points="{points}"><title>{escape(words)}</title></polygon>'


def short(value: float) -> str:
    """Return a power of ten as an axis has room for it."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.0f}\N{NO-BREAK SPACE}{letter}"
    return f"{value:.0f}"


def number(value: float) -> str:
    """Return a number for people: three digits that matter, thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")
    return f"{value:.3g}"
