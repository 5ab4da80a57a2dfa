# SPDX-License-Identifier: Apache-2.0
"""What became of what was promised: a repetition's facts, and the judgement over them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from tests.faults.probe import STREAM, Tried

T = TypeVar("T", bound=Hashable)
_SHOWN = 5  # examples in a message


@dataclass(frozen=True)
class Journal:
    """What the journal says at the end.

    Attributes:
        entries: (stream, entry id) of all records.
        numbers: (number, entry id) of the probe's events.
        bars: closes of the bars, as often as they are there.
        signals: (entry that caused it, strength) of the agent's signals.
        gaps: (stream, run, first, last) of the gaps that were noted; None: up to what came next.
        torn: bytes that were cut off, of each note of a torn line.
        hashes: of all records.
    """

    entries: list[tuple[str, str]]
    numbers: list[tuple[int, str]]
    bars: list[int]
    signals: list[tuple[str, int]]
    gaps: list[tuple[str, int, int, int | None]] = field(default_factory=list)
    torn: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Promise:
    """What has to be there.

    Attributes:
        tried: the probe's events by number; those with a time of confirmation were acknowledged.
        bars: closes of the bars that the feed plays.
        strengths: the agent's opinions about them, in their order.
        durable: hashes of the records that were on the disk for good when the fault struck.
        window_us: what was confirmed so shortly before `cut_us` may be lost, if the loss is noted.
        cut_us: when the power went, monotonic microseconds.
    """

    tried: Mapping[int, Tried]
    bars: Sequence[int]
    strengths: Sequence[int]
    durable: Sequence[str] = ()
    window_us: int = 0
    cut_us: int = 0


@dataclass(frozen=True)
class Count:
    """What was lost, made up or doubled.

    Attributes:
        acknowledged: events that the bus confirmed.
        in_window: of these, lost so shortly before the power went that it is within the promise.
        repeated: bars and answers that were said again under another id.
        lost: what was promised and is not there.
        phantom: what is there and nobody said.
        duplicates: what is there twice.
        unnoticed: of what was lost within the promise, what no note of a gap names.
    """

    acknowledged: int
    in_window: int
    repeated: int
    lost: list[str]
    phantom: list[str]
    duplicates: list[str]
    unnoticed: list[str]

    def problems(self) -> list[str]:
        """Return what breaks the promise."""
        kinds = {
            "lost": self.lost,
            "phantom": self.phantom,
            "twice": self.duplicates,
            "lost without a note": self.unnoticed,
        }
        return [
            f"{len(found)} {kind}: {', '.join(found[:_SHOWN])}{', ...' if len(found) > _SHOWN else ''}"
            for kind, found in kinds.items()
            if found
        ]


@dataclass(frozen=True)
class Repetition:
    """One line of a history.

    Attributes:
        fault: its name.
        number: of the repetition, from 1.
        seed: of the run; with name and number it makes the same moments again.
        moments: what was drawn, and when it happened, in seconds from the first event on.
        counts: figures.
        recovery_s: from the end of the fault until a new event was in the journal and in QuestDB; None if it never was.
        verdict: what the verifier said.
        problems: why it did not pass.
    """

    fault: str
    number: int
    seed: int
    moments: Mapping[str, Any]
    counts: Mapping[str, int]
    recovery_s: float | None
    verdict: str
    problems: Sequence[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Say whether everything that was promised was kept."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "passed": self.passed}


def count(promise: Promise, journal: Journal) -> Count:
    """Compare what has to be there with what is."""
    found = {number for number, _ in journal.numbers}
    confirmed = {number: event for number, event in promise.tried.items() if event.confirmed_us is not None}
    missing = {number: event for number, event in confirmed.items() if number not in found}
    excused = {number: event for number, event in missing.items() if _in_window(event, promise)}
    spoken = [strength for _, strength in journal.signals]
    again = [f"bar {close}" for close in _twice(journal.bars)]
    again += [f"answer to {cause}" for cause in _twice(cause for cause, _ in journal.signals)]
    surprises = _unexpected(promise.strengths, spoken)
    # What a bus that may forget has forgotten, its producers say again, under other ids.
    forgetful = promise.window_us > 0
    return Count(
        acknowledged=len(confirmed),
        in_window=len(excused),
        repeated=len(again),
        lost=[f"event {number} ({event.entry})" for number, event in missing.items() if number not in excused]
        + [f"bar {close}" for close in _beyond(promise.bars, set(journal.bars))]
        + _replaced(promise.durable, journal.hashes)
        + [f"signal {strength}" for strength in promise.strengths[len(spoken) :]],
        phantom=[f"event {number} ({entry})" for number, entry in journal.numbers if not _tried(promise, number, entry)]
        + [f"bar {close}" for close in _beyond(set(journal.bars), set(promise.bars))]
        + ([] if forgetful else surprises),
        duplicates=[f"{stream} {entry}" for stream, entry in _twice(journal.entries)]
        + [f"event {number}" for number in _twice(number for number, _ in journal.numbers)]
        + ([] if forgetful else again),
        unnoticed=[
            f"event {number} ({event.entry})" for number, event in excused.items() if not _noted(event, journal)
        ],
    )


def _in_window(event: Tried, promise: Promise) -> bool:
    """Say whether a loss is within what is promised."""
    return (event.confirmed_us or 0) > promise.cut_us - promise.window_us and event.at_us <= promise.cut_us


def _tried(promise: Promise, number: int, entry: str) -> bool:
    return number in promise.tried and promise.tried[number].entry == entry


def _noted(event: Tried, journal: Journal) -> bool:
    run, sequence = map(int, event.entry.split("-"))
    return any(
        (gap_run, first) <= (run, sequence) and (last is None or (run, sequence) <= (gap_run, last))
        for stream, gap_run, first, last in journal.gaps
        if stream == STREAM
    )


def _unexpected(expected: Sequence[int], spoken: Sequence[int]) -> list[str]:
    """Return the first opinion that does not follow from the bars: what comes after it is shifted."""
    for place, strength in enumerate(spoken):
        if place >= len(expected) or strength != expected[place]:
            return [f"signal {place + 1} ({strength})"]
    return []


def _replaced(before: Sequence[str], after: Sequence[str]) -> list[str]:
    return [f"record {number}" for number, digest in enumerate(before, 1) if digest not in after[number - 1 : number]]


def _beyond(some: Iterable[int], others: set[int]) -> list[int]:
    return sorted(one for one in some if one not in others)


def _twice(some: Iterable[T]) -> list[T]:
    return [one for one, times in Counter(some).items() if times > 1]
