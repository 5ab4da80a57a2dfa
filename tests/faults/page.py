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

A station of real processes (Redis, QuestDB, recorder, replay feed, an agent, and a producer that notes what the bus
confirmed) is hurt at a seeded moment while it works; a supervisor keeps it running as its units say. Afterwards it is
counted what was confirmed and is not in the journal (lost), what is there and nobody sent (phantom), and what is there
twice: of the producer's events, of the bars that the feed plays, of the agent's answers to them. A repetition passes if
all three are 0, the journal agrees with its checkpoints, with the copy of another host and with every row of QuestDB,
no table is suspended, and nobody had to help. Acknowledged are the producer's events alone. Recovery is the time from
the end of the fault until every service is ready and a new event is fsynced in the journal and readable in QuestDB.
"""
TAIL = f"""
Stalls of {max(STALLS_S)} s are longer than the watchdog: the service is killed and started again, as on a host. With
`appendfsync everysec` a power cut may take what was confirmed in its last 2 s and is not in the journal yet; such
events stand in brackets behind the lost, the journal notes that they may be missing, and what the bus forgot feed and
agent say again under new ids.

The power cut is ext4's own shutdown call without writing its log, on an image of its own, then what systemd-fsck does
at boot. It loses what had not reached the block device; a disk whose cache lies is worse. The clock is that of the
services' processes (`time.time_ns`); Redis and QuestDB keep theirs, and no clock of the machine is touched.

## What is not survived

- Redis and a producer killed together while the disk is slow, with `appendfsync everysec`: Redis confirms up to two
  seconds before it writes, and the producer that would say it again is gone. What the recorder had not fetched by
  then is lost, as at a power cut.
- A disk that says it has written and has not: the journal's promise is fdatasync.
- The host's disk and both anchors lost together: nothing then says what was signed.
- A flipped byte in a segment is found, and mended by a copy from elsewhere, not by the station.
- A table that QuestDB corrupted beyond `RESUME WAL` is dropped by a person, and replayed from the segments (`station
  journal replay`).

## One case again

`make faults ONLY=<fault> SEED=<seed> REPEAT=<n>`, or `.venv/bin/python -m tests.faults --only <fault> --seed <seed>
--repeat <n>`: seed, fault and number draw the same moments; how far each process was at that moment is the machine's.
Each repetition is a line of `build/faults/<fault>.jsonl`, and what the processes said in one that failed is in
`build/faults/failed/`. An interrupted run goes on where it was; remove `build/faults` to begin anew, as after a change
of the services.
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
    beside = f"up to {jobs} stations side by side on {processors} processors, alone each recovers sooner"
    return f"{HEAD}\nSeeds: {said}; {beside}.\n\n{table}{TAIL}"


def _sum(history: Iterable[Mapping[str, Any]], figure: str) -> int:
    return sum(one["counts"].get(figure, 0) for one in history)
