# SPDX-License-Identifier: Apache-2.0
"""What a steady stream through bus, chain and QuestDB came to. Pure; `spine` is what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression

from tests.performance.bus.children import Usage
from tools import report

GROWTH = 0.01  # of what is published may stay behind, and the lag still counts as not growing
MEMORY_MB = 300
_MB = 1_000_000


@dataclass(frozen=True)
class Sample:
    """How it stood at a time.

    Attributes:
        at_s: seconds since the start.
        published: events published since the start.
        unread: those that the recorder has not been given.
        unstored: those that it was given and that are not yet in QuestDB.
    """

    at_s: float
    published: int
    unread: int
    unstored: int

    @property
    def behind(self) -> int:
        """Return how many are on their way."""
        return self.unread + self.unstored


@dataclass(frozen=True)
class Cost:
    """What a process cost over a run.

    Attributes:
        cpu: processors that it kept busy.
        rss: the most bytes of memory that were resident.
        anonymous: the most of them that no file stood behind.
    """

    cpu: float
    rss: int
    anonymous: int


@dataclass(frozen=True)
class Run:
    """What a run came to; rates in events/s.

    Attributes:
        asked: the rate that the producer was told.
        rate: the rate at which it published.
        unread, unstored: events on their way at the end, as in a sample.
        growth: by how many events a second more were on their way, over the second half.
        costs: of each process.
        others: processors that were kept busy by programs that have no part in it.
    """

    asked: float
    rate: float
    unread: int
    unstored: int
    growth: float
    costs: Mapping[str, Cost]
    others: float

    @property
    def holds(self) -> bool:
        """Say whether the rate was reached and is one that could go on for ever."""
        return self.rate >= (1 - GROWTH) * self.asked and self.growth < GROWTH * self.asked

    @property
    def taken(self) -> float:
        """Return the rate at which events came to the end of their way."""
        return self.rate - max(0.0, self.growth)


def growth(samples: Sequence[Sample]) -> float:
    """Return by how many events a second more are on their way, over the second half of the samples."""
    half = samples[len(samples) // 2 :]
    return linear_regression([one.at_s for one in half], [one.behind for one in half]).slope


def costs(usages: Sequence[Mapping[str, Usage]], seconds: float) -> dict[str, Cost]:
    """Return what each process cost from the first look to the last."""
    return {
        name: Cost(
            cpu=(usages[-1][name].cpu_s - usages[0][name].cpu_s) / seconds,
            rss=max(one[name].rss for one in usages),
            anonymous=max(one[name].anonymous for one in usages),
        )
        for name in usages[0]
    }


def rate_of(samples: Sequence[Sample]) -> float:
    """Return the events published a second."""
    first, last = samples[0], samples[-1]
    return (last.published - first.published) / (last.at_s - first.at_s)


def line(rate: float, samples: Sequence[Sample], usages: Sequence[Mapping[str, Usage]]) -> str:
    """Return how it goes, for the person who waits."""
    last = samples[-1]
    busy = ", ".join(f"{name} {cost.cpu:.2f}" for name, cost in costs(usages, last.at_s).items())
    return (
        f"{rate:,.0f} events/s asked, {last.at_s:.0f} s: {rate_of(samples):,.0f} published a second, {last.unread:,} "
        f"to be read, {last.unstored:,} to be stored; processors: {busy}"
    )


def rows(seconds: float, run: Run, holding: Run) -> list[report.Row]:
    """Return the rows of a run.

    Args:
        seconds: how long the run was.
        run: at the rate that is the goal.
        holding: the same run, or one at the greatest rate found that holds.
    """
    name = f"{run.asked:,.0f} events/s for {seconds:.0f} s"
    growing = report.Goal(below=GROWTH * run.asked * 60)
    shares = {who: cost.cpu for who, cost in run.costs.items()} | {"everybody else": run.others}
    sustained, wanted = holding.asked if holding.holds else holding.taken, report.Goal(above=run.asked)
    return [
        report.row("sustained through bus, chain and QuestDB", sustained, "events/s", goal=wanted),
        report.row(f"{name}: published", run.rate, "events/s"),
        report.row(f"{name}: more on their way each minute", run.growth * 60, "events", goal=growing),
        report.row(f"{name}: at the end not yet read by the recorder", run.unread, "events"),
        report.row(f"{name}: at the end read and not yet in QuestDB", run.unstored, "events"),
        *_memory(name, run),
        *(report.row(f"{name}: of one processor, {who}", 100 * share, "%") for who, share in shares.items()),
    ]


def _memory(name: str, run: Run) -> list[report.Row]:
    goal = report.Goal(below=MEMORY_MB)
    database = run.costs["QuestDB"].anonymous / _MB
    return [
        *(report.row(f"{name}: memory, {who}", cost.rss / _MB, "MB", goal=goal) for who, cost in run.costs.items()),
        report.row(f"{name}: memory, QuestDB without the files that it has mapped", database, "MB"),
    ]
