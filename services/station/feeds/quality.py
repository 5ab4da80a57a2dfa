# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with bars: gaps, repetitions, corrections, order, prices that no market printed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from station.domain.market import Bar
from station.feeds.actions import corporate_action
from station.feeds.intervals import DAY
from station.feeds.port import ClosedBar, Finding
from station.feeds.reading import text
from station.feeds.sessions import ALWAYS, Sessions

REMEMBERED = 4096  # bars a symbol: as far back a repetition is told from a correction


@dataclass(frozen=True, slots=True)
class Gap:
    """Bars that should be there and are not; times are their closes in microseconds UTC."""

    symbol: str
    first: int
    last: int
    bars: int


def find_gaps(
    symbol: str, closes: Iterable[int], span: tuple[int, int], interval: int, sessions: Sessions
) -> list[Gap]:
    """Return what is missing among the closes of one symbol.

    Args:
        symbol: what was traded.
        closes: what is there, in any order.
        span: (start, end) with start < close <= end of what should be there.
        interval: microseconds.
        sessions: which bars there should be.

    Raises:
        StationError: the calendar does not reach that far.
    """
    start, end = span
    there = sorted({close for close in closes if start < close <= end})
    found = []
    for before, after in pairwise([start, *there, end + 1]):
        missing = sessions.missing(before, after, interval)
        if missing:
            found.append(Gap(symbol, *missing))
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a bar, and why."""

    accepted: bool
    findings: tuple[Finding, ...] = ()
    gap: Gap | None = None  # what is missing just before it


@dataclass(slots=True)
class _Seen:
    newest: int
    floor: int  # whether a bar that closed until then was seen is forgotten
    bars: OrderedDict[int, Bar] = field(default_factory=OrderedDict)
    latest: Bar | None = None


class Inspector:
    """Looks at bars as they come and says which are new. Each bar is accepted once, with the values it had first.

    Args:
        interval: microseconds.
        sessions: which bars there should be; None: nobody knows, so nothing is ever missing.
        remembered: bars a symbol.
    """

    def __init__(self, interval: int, sessions: Sessions | None = ALWAYS, remembered: int = REMEMBERED) -> None:
        self._interval = interval
        self._sessions = sessions
        self._remembered = remembered
        self._seen: dict[str, _Seen] = {}

    def start_after(self, symbol: str, close: int) -> None:
        """Take what closed until then as seen."""
        self._seen[symbol] = _Seen(newest=close, floor=close)

    def newest(self, symbol: str) -> int | None:
        """Return the close of the newest accepted bar, microseconds UTC."""
        seen = self._seen.get(symbol)
        return seen.newest if seen else None

    def see(self, closed: ClosedBar) -> Verdict:
        """Return whether a bar is new and possible, and what is odd about it.

        Raises:
            StationError: the calendar does not reach that far.
        """
        seen = self._seen.get(closed.symbol)
        refusal = self._impossible(closed) or (_known(seen, closed) if seen else None)
        if refusal:
            return Verdict(accepted=False, findings=(refusal,))
        findings, gap = [], None
        if seen is None:
            seen = self._seen[closed.symbol] = _Seen(newest=closed.closed_at, floor=0)
        elif closed.closed_at < seen.newest:
            findings.append(_finding("late", closed, f"came after the bar of {text(seen.newest)}"))
        else:
            gap = self._gap(seen.newest, closed)
            findings += _oddities(seen, closed, gap, self._sessions)
        self._remember(seen, closed)
        return Verdict(accepted=True, findings=tuple(findings), gap=gap)

    def _impossible(self, closed: ClosedBar) -> Finding | None:
        problems = closed.bar.problems()
        if problems:
            return _finding("impossible", closed, "; ".join(problems))
        if closed.closed_at > closed.available:
            return _finding("early", closed, f"was there {text(closed.available)}, before its close")
        if self._sessions is not None and self._interval < DAY and closed.closed_at % self._interval:
            return _finding("off_grid", closed, "does not end at a whole multiple of its length")
        return None

    def _gap(self, newest: int, closed: ClosedBar) -> Gap | None:
        missing = self._sessions.missing(newest, closed.closed_at, self._interval) if self._sessions else None
        return Gap(closed.symbol, *missing) if missing else None

    def _remember(self, seen: _Seen, closed: ClosedBar) -> None:
        seen.bars[closed.closed_at] = closed.bar
        if closed.closed_at >= seen.newest:
            seen.newest, seen.latest = closed.closed_at, closed.bar
        if len(seen.bars) > self._remembered:
            forgotten, _ = seen.bars.popitem(last=False)
            seen.floor = max(seen.floor, forgotten)


def _known(seen: _Seen, closed: ClosedBar) -> Finding | None:
    before = seen.bars.get(closed.closed_at)
    if before is None:
        return _finding("old", closed, "is older than what is remembered") if closed.closed_at <= seen.floor else None
    if before == closed.bar:
        return _finding("duplicate", closed, "is there already")
    return _finding("correction", closed, f"was {_values(before)}, is now {_values(closed.bar)}; the first stands")


def _oddities(seen: _Seen, closed: ClosedBar, gap: Gap | None, sessions: Sessions | None) -> list[Finding]:
    found = []
    if gap:
        found.append(_finding("gap", closed, f"{gap.bars} missing from {text(gap.first)} to {text(gap.last)}"))
    if (
        sessions is not None
        and sessions.missing(closed.closed_at - 1, closed.closed_at + 1, closed.bar.interval) is None
    ):
        found.append(_finding("outside", closed, "the market was closed"))
    if seen.latest is not None:
        paused = closed.closed_at - seen.newest > closed.bar.interval
        action = corporate_action(seen.latest.close, closed.bar.open, paused=paused)
        if action:
            found.append(_finding("jump", closed, action))
    return found


def _finding(kind: str, closed: ClosedBar, detail: str) -> Finding:
    return Finding(kind, closed.symbol, closed.closed_at, detail)


def _values(bar: Bar) -> str:
    return f"{bar.open}/{bar.high}/{bar.low}/{bar.close} volume {bar.volume}"
