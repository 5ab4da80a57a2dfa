# SPDX-License-Identifier: Apache-2.0
"""The page of what was survived, from the histories in build/faults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from fleet.paths import PROJECT
from tests.faults.catalogue import STALLS_S, Fault
from tools.pages import markdown

PAGE = PROJECT / "docs" / "reference" / "faults.md"
COLUMNS = ("fault", "n", "acknowledged", "lost", "phantom", "twice", "recovery p50", "max", "passed")
HEAD = """<!-- Written by `make faults` from build/faults/*.jsonl. -->

# Faults

The test runs a station of real processes: Redis, QuestDB, recorder, replay feed, an agent, and a test producer that
notes which events the bus confirmed. A fault hits it at a seeded moment while it works; a supervisor restarts the
processes by the rules of their units. Afterwards the test counts three kinds of events: confirmed but not in the
journal (lost), in the journal but never sent (phantom), and in the journal twice. It counts them among the producer's
events, the bars that the feed plays, and the agent's answers to the bars. A repetition passes if all three counts are
0, the journal agrees with its checkpoints, with the copy of another host and with every row of QuestDB, no table is
suspended, and nobody had to help. Column Acknowledged counts the test producer's events only. Recovery is the time from
the end of the fault until every service is ready and a new event is fsynced in the journal and readable in QuestDB.
"""
TAIL = f"""
A stall of {max(STALLS_S)} s is longer than the watchdog: the service is killed and started again, as on a host. With
`appendfsync everysec` a power cut may lose events that were confirmed in its last 2 s and are not in the journal yet.
They are given in brackets after Lost; the journal notes that they may be missing; feed and agent send what the bus
forgot again, under new ids.

A power cut is ext4's shutdown call without a flush of its log, on a disk image, followed by the check that systemd-fsck
makes at boot. It loses what had not reached the block device; a disk that lies about its cache loses more. The fault
that sets the clock changes it for the services' processes only (`time.time_ns`); Redis, QuestDB and the machine keep
theirs.

## What is not survived

- Redis and a producer killed together while the disk is slow, with `appendfsync everysec`: Redis confirms up to two
  seconds before it writes, and the producer that would send the events again is gone. Events that the recorder had not
  fetched by then are lost, as at a power cut.
- A disk that reports a write which it has not made: the journal relies on fdatasync.
- The host's disk and both anchors lost together: no signed checkpoint is left to compare with.
- A flipped byte in a segment: the station finds it, but only a copy from elsewhere repairs it.
- A table that QuestDB corrupted beyond `RESUME WAL`: a person drops it and fills it again from the segments (`station
  journal replay`).

## Repeat one case

`make faults ONLY=<fault> SEED=<seed> REPEAT=<n>`, or `.venv/bin/python -m tests.faults --only <fault> --seed <seed>
--repeat <n>`. The same seed, fault and number give the same moments; how far each process has come at that moment
depends on the machine. Each repetition is a line of `build/faults/<fault>.jsonl`; `build/faults/failed/` has the output
of the processes of each failed one. An interrupted run continues; remove `build/faults` to begin again, for example
after a change of the services.
"""


def read(path: Path) -> list[dict[str, Any]]:
    """Return a history, empty if there is none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def row(fault: Fault, history: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a fault's row of the table, or of the terminal."""
    if not history:
        return (fault.title, "0", *[""] * 6, "not run here")
    times = [one["recovery_s"] for one in history if one["recovery_s"] is not None]
    passed = sum(one["passed"] for one in history)
    forgotten = _sum(history, "in_window")
    return (
        fault.title,
        str(len(history)),
        f"{_sum(history, 'acknowledged'):,}",
        f"{_sum(history, 'lost')}{f' ({forgotten})' if forgotten else ''}",
        str(_sum(history, "phantom")),
        str(_sum(history, "duplicates")),
        f"{median(times):.1f} s" if times else "",
        f"{max(times):.1f} s" if times else "",
        "yes" if passed == len(history) else f"{passed} of {len(history)}",
    )


def text(rows: Iterable[Sequence[str]], seeds: Iterable[int], jobs: int, processors: int) -> str:
    """Return the page.

    Args:
        rows: of the table.
        seeds: of all repetitions.
        jobs: stations side by side at the most.
        processors: of the machine.
    """
    table = markdown.table([title.capitalize() for title in COLUMNS], rows)
    said = ", ".join(map(str, sorted(set(seeds)))) or "none"
    beside = f"up to {jobs} stations side by side on {processors} processors; a single station recovers faster"
    return f"{HEAD}\nSeeds: {said}; {beside}.\n\n{table}{TAIL}"


def _sum(history: Iterable[Mapping[str, Any]], figure: str) -> int:
    return sum(one["counts"].get(figure, 0) for one in history)
