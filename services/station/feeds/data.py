# SPDX-License-Identifier: Apache-2.0
"""What stands behind `station data load|check|gaps|backfill`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from station.clock import Clock
from station.errors import Unavailable
from station.feeds.port import ClosedBar, Finding, History
from station.feeds.quality import Gap, Inspector, find_gaps
from station.feeds.report import EXAMPLES, Filled, Gaps, Loaded, Series
from station.feeds.service import Publisher
from station.feeds.sessions import Sessions

BATCH = 500
LARGEST_BACKLOG = 50_000
WAIT_S = 0.1


class Sink(Protocol):
    """Where bars go."""

    def write(self, bars: Sequence[ClosedBar]) -> None:
        """Take bars, all or none.

        Raises:
            Unavailable: not now.
        """


class BusSink:
    """Puts bars on the bus, and so through the recorder into the journal and QuestDB; waits when readers fall behind.

    Args:
        publisher: numbers and publishes.
        clock: waits.
    """

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock

    def write(self, bars: Sequence[ClosedBar]) -> None:
        """Publish bars."""
        while self._publisher.backlog() > LARGEST_BACKLOG:
            self._clock.sleep(WAIT_S)
        self._publisher.publish([bar.event() for bar in bars])


class Nowhere:
    """Takes bars and does nothing with them."""

    def write(self, bars: Sequence[ClosedBar]) -> None:
        """Do nothing."""


def load(bars: Iterable[ClosedBar], sink: Sink, inspector: Inspector) -> Loaded:
    """Write the bars of a source that are new and possible, and report.

    Args:
        bars: from a file, a table or a vendor's history.
        sink: where they go.
        inspector: what is known already, and which bars there should be.

    Raises:
        Unavailable: source or sink do not answer.
        StationError: the source cannot be read.
    """
    series: dict[str, Series] = {}
    counts: Counter[tuple[str, str]] = Counter()
    examples: list[Finding] = []
    source = iter(bars)
    while batch := list(islice(source, BATCH)):
        new = []
        for bar in batch:
            verdict = inspector.see(bar)
            counts.update((finding.symbol, finding.kind) for finding in verdict.findings)
            examples += verdict.findings[: EXAMPLES - len(examples)]
            if verdict.accepted:
                new.append(bar)
                series[bar.symbol] = _longer(series.get(bar.symbol), bar)
        if new:
            sink.write(new)
    return Loaded(tuple(series.values()), dict(counts), tuple(examples))


def check(bars: Iterable[ClosedBar], interval: int, sessions: Sessions | None) -> Loaded:
    """Report what is odd about the bars of a source.

    Args:
        bars: of one interval.
        interval: microseconds.
        sessions: which bars there should be; None: nobody knows, so nothing is missing.

    Raises:
        StationError, Unavailable: the source cannot be read.
    """
    return load(bars, Nowhere(), Inspector(interval, sessions))


def gaps(closes: Mapping[str, Iterable[int]], span: tuple[int, int], interval: int, sessions: Sessions) -> Gaps:
    """Report what is missing.

    Args:
        closes: what is there, by symbol, microseconds UTC.
        span: (start, end) with start < close <= end of what should be there.
        interval: microseconds.
        sessions: which bars there should be.

    Raises:
        StationError: the calendar does not reach that far.
    """
    found = [gap for symbol, there in closes.items() for gap in find_gaps(symbol, there, span, interval, sessions)]
    return Gaps(tuple(found))


def backfill(history: History, missing: Sequence[Gap], sink: Sink, sessions: Sessions) -> Filled:
    """Fill gaps from a vendor's history; what is not missing is never written, so that it can be done again.

    Args:
        history: where the bars are from.
        missing: as `gaps` reports it.
        sink: where they go.
        sessions: as for `gaps`.

    Raises:
        StationError: the vendor refuses.
    """
    found: list[int] = []
    try:
        for gap in missing:
            found.append(_fill(history, gap, sink, sessions))  # noqa: PERF401 - what was done counts if the next fails
    except Unavailable as error:
        return Filled(tuple(found), tuple(missing), str(error))
    return Filled(tuple(found), tuple(missing))


def _fill(history: History, gap: Gap, sink: Sink, sessions: Sessions) -> int:
    start = gap.first - 1
    wanted = set(sessions.closes(start, gap.last, history.interval))
    written = 0
    bars = (bar for bar in history.history(gap.symbol, start, gap.last) if bar.closed_at in wanted)
    while batch := list(islice(bars, BATCH)):
        # A vendor that repeats a row does not write it twice.
        right = [bar for bar in {bar.closed_at: bar for bar in batch}.values() if not bar.bar.problems()]
        wanted.difference_update(bar.closed_at for bar in right)
        if right:
            sink.write(right)
        written += len(right)
    return written


def _longer(series: Series | None, bar: ClosedBar) -> Series:
    if series is None:
        return Series(bar.symbol, 1, bar.closed_at, bar.closed_at)
    return Series(bar.symbol, series.bars + 1, min(series.first, bar.closed_at), max(series.last, bar.closed_at))
