# SPDX-License-Identifier: Apache-2.0
"""Histograms of latencies and their percentiles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
METRICS = (*QUANTILES, "max")
BEYOND = 10  # samples that have to lie above a percentile before it is judged


@dataclass(frozen=True)
class Histogram:
    """How often each latency was seen.

    Attributes:
        counts: latency in µs -> samples, ascending.
        overflow: samples above the last bucket, of which only the largest is known.
        minimum: smallest latency in µs.
        maximum: largest latency in µs, those above the last bucket included.
    """

    counts: Mapping[float, int] = field(default_factory=dict)
    overflow: int = 0
    minimum: float = 0.0
    maximum: float = 0.0

    @property
    def total(self) -> int:
        """Return the number of samples."""
        return sum(self.counts.values()) + self.overflow

    def percentile(self, share: float) -> float:
        """Return the smallest latency that at least this share of the samples does not exceed.

        A percentile above the last bucket is the maximum: never less than the truth.

        Raises:
            ValueError: there are no samples, or the share is not in 0..1.
        """
        if not self.total or not 0 <= share <= 1:
            raise ValueError(f"no percentile {share} of {self.total} samples")
        # Floating point may put 0.9999 * 100000 a hair above 99990.
        wanted, seen = max(1, math.ceil(round(share * self.total, 6))), 0
        for value, count in self.counts.items():
            seen += count
            if seen >= wanted:
                return value
        return self.maximum

    def figure(self, metric: str) -> float:
        """Return one of `METRICS`."""
        return self.maximum if metric == "max" else self.percentile(QUANTILES[metric])

    def is_bound(self, metric: str) -> bool:
        """Say whether a percentile lies above the last bucket, so that `figure` gives an upper bound of it."""
        return metric != "max" and sum(self.counts.values()) < round(QUANTILES[metric] * self.total, 6)

    def supports(self, metric: str) -> bool:
        """Say whether enough samples lie above a percentile for it to mean something; a maximum always is one."""
        return metric == "max" or round(self.total * (1 - QUANTILES[metric]), 6) >= BEYOND


def make(
    counts: Mapping[float, int], overflow: int = 0, minimum: float | None = None, maximum: float | None = None
) -> Histogram:
    """Return a histogram in order and without empty buckets; limits that are not known are those of the buckets."""
    kept = {float(value): counts[value] for value in sorted(counts) if counts[value]}
    low = minimum if minimum is not None else min(kept, default=0.0)
    return Histogram(kept, overflow, float(low), float(maximum if maximum is not None else max(kept, default=0.0)))


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """Return one histogram of all samples."""
    parts = [one for one in histograms if one.total]
    counts: Counter[float] = Counter()
    for one in parts:
        counts.update(one.counts)
    return make(
        counts,
        sum(one.overflow for one in parts),
        min((one.minimum for one in parts), default=0.0),
        max((one.maximum for one in parts), default=0.0),
    )
