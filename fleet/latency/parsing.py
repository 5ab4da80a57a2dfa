# SPDX-License-Identifier: Apache-2.0
"""What the measuring tools print, read into histograms; each function refuses what it does not understand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from fleet.latency.histogram import Histogram, make, merge

OSLAT_BUCKETS = 1024  # `oslat -b`; its last bucket also takes everything above (rt-tests, src/oslat/oslat.c)


class ParseError(ValueError):
    """The output of a tool is not what this version of the project can read."""


def cyclictest(text: str) -> Histogram:
    """Read `cyclictest -h N --json`: samples above N are in no bucket, only in the number of cycles."""
    parts = []
    for thread in _threads(text, "cyclictest"):
        counts = {float(value): int(count) for value, count in thread["histogram"].items()}
        overflow = max(0, int(thread["cycles"]) - sum(counts.values()))
        parts.append(make(counts, overflow, float(thread["min"]), float(thread["max"])))
    return merge(parts)


def oslat(text: str, buckets: int = OSLAT_BUCKETS) -> Histogram:
    """Read `oslat -b N --json`; the samples are passes of its busy loop.

    Args:
        text: the file it wrote.
        buckets: its `-b`.
    """
    parts = []
    for thread in _threads(text, "oslat"):
        counts = {float(value): int(count) for value, count in thread["histogram"].items()}
        overflow = counts.pop(float(buckets), 0)
        parts.append(make(counts, overflow, float(thread["min"]), float(thread["max"])))
    return merge(parts)


def _threads(text: str, tool: str) -> list[Mapping[str, Any]]:
    try:
        threads: Mapping[str, Mapping[str, Any]] = json.loads(text)["thread"]
        if threads and all({"histogram", "min", "max"} <= one.keys() for one in threads.values()):
            return list(threads.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(f"{tool} wrote no JSON result that can be read: {error}") from error
    raise ParseError(f"{tool} wrote no histogram for its threads")


def rtla(text: str, column: str) -> Histogram:
    """Read the table of `rtla timerlat hist` or `rtla osnoise hist` (tools/tracing/rtla in the kernel's sources).

    Args:
        text: what it printed.
        column: which columns count: `Thr` (timer until a thread runs) or `CPU` (noise).
    """
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    head = next((row for row in rows if row[0] == "Index"), [])
    chosen = [number for number, title in enumerate(head) if title.startswith(f"{column}-")]
    if not chosen:
        raise ParseError(f"rtla printed no table with a column {column}-")
    body = rows[rows.index(head) + 1 :]
    # Newer versions add a second table, ALL:, with the sums.
    body = body[: next((number for number, row in enumerate(body) if row[0].startswith("ALL")), len(body))]
    named = {row[0].rstrip(":"): row for row in body if len(row) == len(head)}
    missing = {"over", "count", "min", "max"} - named.keys()
    if missing:
        raise ParseError(f"rtla's table has no row {', '.join(sorted(missing))}; was it cut off?")
    parts = []
    for number in chosen:
        counts = {float(name): int(row[number]) for name, row in named.items() if name.isdigit()}
        if sum(counts.values()) + int(named["over"][number]) != int(named["count"][number]):
            raise ParseError(f"rtla's table does not add up in column {head[number]}")
        limits = [None if row[number] == "-" else float(row[number]) for row in (named["min"], named["max"])]
        parts.append(make(counts, int(named["over"][number]), *limits))
    return merge(parts)


def timerlat(text: str) -> Histogram:
    """Read `rtla timerlat hist`: from the timer's expiry until its thread runs."""
    return rtla(text, "Thr")


def osnoise(text: str) -> Histogram:
    """Read `rtla osnoise hist`: the length of each piece of noise."""
    return rtla(text, "CPU")


def ping_pong(text: str) -> Histogram:
    """Read what the runner made of sockperf's log: half round trips, three digits each."""
    try:
        found = json.loads(text)
        counts = {float(value): int(count) for value, count in found["buckets"].items()}
        return make(counts, 0, float(found["min"]), float(found["max"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(f"the runner's ping-pong histogram cannot be read: {error}") from error


def hwlatdetect(text: str) -> Histogram:
    """Read hwlatdetect's report: what it found above its threshold, nothing if there was nothing."""
    highest = re.search(r"^Max Latency:\s*(?:(\d+)us|Below threshold)", text, re.MULTILINE)
    number = re.search(r"^Samples recorded:\s*(\d+)", text, re.MULTILINE)
    if highest is None or number is None:
        raise ParseError("hwlatdetect printed no result")
    found = float(highest[1] or 0)
    return make({}, int(number[1]) if found else 0, 0.0, found)


PARSERS: Mapping[str, Callable[[str], Histogram]] = {
    "hwlatdetect": hwlatdetect,
    "oslat": oslat,
    "osnoise": osnoise,
    "timerlat": timerlat,
    "cyclictest": cyclictest,
    "ping-pong": ping_pong,
}
