# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.latency.histogram import METRICS, QUANTILES, Histogram, make, merge

SAMPLES = st.lists(st.integers(min_value=0, max_value=2000), min_size=1, max_size=300)


def of(samples, limit=1000) -> Histogram:
    inside = [value for value in samples if value < limit]
    counts = {float(value): inside.count(value) for value in set(inside)}
    return make(counts, len(samples) - len(inside), float(min(samples)), float(max(samples)))


@given(SAMPLES, st.floats(min_value=0.0001, max_value=1))
def test_a_percentile_is_the_sample_that_sorting_would_find(samples, share):
    found = of(samples, limit=5000).percentile(share)
    expected = sorted(samples)[max(1, math.ceil(round(share * len(samples), 6))) - 1]
    assert found == expected


@given(SAMPLES)
def test_a_percentile_among_samples_without_a_bucket_is_never_too_good(samples):
    for share in QUANTILES.values():
        assert of(samples).percentile(share) >= of(samples, limit=5000).percentile(share)


@given(SAMPLES)
def test_percentiles_never_fall(samples):
    figures = [of(samples).figure(metric) for metric in METRICS]
    assert figures == sorted(figures)


@given(SAMPLES, SAMPLES)
def test_merged_histograms_hold_all_samples(first, second):
    assert merge([of(first), of(second)]) == of(first + second)


def test_an_empty_repetition_changes_nothing():
    assert merge([make({}), of([3, 4])]) == of([3, 4])


def test_a_percentile_needs_ten_samples_above_it():
    assert make({1: 100_000}).supports("p99.99")
    assert not make({1: 99_999}).supports("p99.99")
    assert make({1: 1}).supports("max")


@given(SAMPLES)
def test_only_a_percentile_above_the_last_bucket_is_a_bound(samples):
    found, exact = of(samples), of(samples, limit=5000)
    for metric in QUANTILES:
        assert found.is_bound(metric) == (exact.figure(metric) >= 1000)


def test_there_is_no_percentile_of_nothing():
    with pytest.raises(ValueError, match="of 0 samples"):
        make({}).percentile(0.5)
