# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.latency.comparison import ALLOWED, Status, compare, judge
from fleet.latency.histogram import Histogram, make, merge
from fleet.latency.result import Result, Test, figures

FACTS = {"host": "ms01", "cpu_model": "i9-12900H", "virtualization": "none", "kernel": "6.12", "tools": {}}
ENOUGH = 200_000


def measured(repetitions, name="cyclictest", cpus="isolated", state="ok", reason="") -> Test:
    found = figures(repetitions) if state == "ok" else {}
    return Test(name, cpus, "2,3", state, reason, name, 0, found, merge(repetitions))


def run(*tests: Test, **facts: str) -> Result:
    return Result("2026-01-01T00:00:00Z", 60, 60, 3, "stress-ng --cpu 2", FACTS | facts, tests)


def flat(value, samples=ENOUGH, top=None) -> Histogram:
    """One repetition: nearly all samples at a value, one at the top."""
    return make({float(value): samples, float(top or value): samples if top is None else 1})


def status(now, before) -> Status:
    return judge(now, compare(now, before)).status


def test_the_same_run_again_is_fine():
    now = run(measured([flat(10), flat(10), flat(11)]))
    assert status(now, now) == Status.FINE
    assert {row.state for row in compare(now, now).rows} == {"ok"}


def test_a_figure_above_the_allowed_ratio_is_a_regression():
    before, now = run(measured([flat(20)] * 3)), run(measured([flat(30)] * 3))
    found = compare(now, before)
    assert {row.metric for row in found.worse} == {"p50", "p90", "p99"}
    assert judge(now, found).status == Status.REGRESSION
    assert "1.50 times" in judge(now, found).line


def test_the_other_way_round_is_better_and_fine():
    before, now = run(measured([flat(30)] * 3)), run(measured([flat(20)] * 3))
    assert "better" in {row.state for row in compare(now, before).rows}
    assert status(now, before) == Status.FINE


def test_two_buckets_are_no_difference():
    assert status(run(measured([flat(3)] * 3)), run(measured([flat(1)] * 3))) == Status.FINE
    assert status(run(measured([flat(4)] * 3)), run(measured([flat(1)] * 3))) == Status.REGRESSION


def test_one_disturbed_repetition_does_not_decide():
    now = run(measured([flat(20), flat(20), flat(200)]))
    assert status(now, run(measured([flat(20)] * 3))) == Status.FINE


def test_a_restless_baseline_allows_as_much_as_it_moved_itself():
    before = run(measured([flat(20), flat(20), flat(60)]))
    assert status(run(measured([flat(58)] * 3)), before) == Status.FINE
    assert status(run(measured([flat(90)] * 3)), before) == Status.REGRESSION


def test_p9999_of_too_few_samples_is_not_judged():
    rare = make({10.0: 50_000, 900.0: 50})
    rows = compare(run(measured([rare] * 3)), run(measured([flat(10, 50_000)] * 3))).rows
    assert {row.metric: row.why for row in rows}["p99.99"] == "too few samples"


def test_two_bounds_are_not_compared():
    def mostly_beyond(top) -> Histogram:
        return make({10.0: ENOUGH}, ENOUGH, 10.0, top)

    rows = compare(run(measured([mostly_beyond(9000.0)] * 3)), run(measured([mostly_beyond(1100.0)] * 3))).rows
    assert {row.metric: row.why for row in rows}["p90"] == "above the tool's last bucket"


def test_a_maximum_of_a_longer_run_is_not_judged():
    before = run(measured([flat(10, 100_000)] * 3))
    rows = compare(run(measured([flat(10, 1_000_000, top=500)] * 3)), before).rows
    assert {row.metric: row.why for row in rows}["max"] == "the runs differ in length"


def test_no_host_is_compared_with_another():
    now = run(measured([flat(900)] * 3))
    for other in ({"host": "station"}, {"cpu_model": "another"}):
        found = compare(now, run(measured([flat(1)] * 3), **other))
        assert "a host is compared with itself only" in found.refusal
        assert judge(now, found).status == Status.FINE


def test_another_load_is_not_compared():
    now = run(measured([flat(900)] * 3))
    assert "another load" in compare(now, replace(now, load="stress-ng --cpu 8")).refusal


def isolating(text, *tests: Test, **facts: str) -> Result:
    """Return a run on a host of 8 CPUs whose kernel isolates some; the rest is loaded."""
    taken = text.split(",")
    load = f"stress-ng --taskset {','.join(str(cpu) for cpu in range(8) if str(cpu) not in taken)}"
    return replace(run(*tests, isolated=text, **facts), load=load)


@pytest.mark.parametrize("virtualization", ["none", "kvm"])
@pytest.mark.parametrize(
    ("text", "words"), [("", "none are now"), ("2,3", "2-3 are now"), ("2,3,4,5,6", "2-6 are now")]
)
def test_other_isolated_cpus_than_those_of_the_baseline_are_no_pass(text, words, virtualization):
    test, facts = measured([flat(1)] * 3, cpus="housekeeping"), {"virtualization": virtualization}
    now, before = isolating(text, test, **facts), isolating("2,3,4,5", test, **facts)
    verdict = judge(now, compare(now, before))
    assert verdict.status == Status.NOT_MEASURED
    assert "CPUs 2-5 were isolated in the baseline" in verdict.line
    for part in (words, "make site", "make verify", "SET_BASELINE=1"):
        assert part in verdict.line
    assert "\n" not in verdict.line


def test_lost_isolation_is_said_once_and_not_as_each_test_that_it_cost():
    both = measured([flat(1)] * 3), measured([flat(1)] * 3, cpus="housekeeping")
    now = isolating("", both[1])
    found = compare(now, isolating("2,3", *both))
    assert found.missing == ("cyclictest on isolated CPUs",)
    assert found.rows == ()
    assert "cyclictest" not in judge(now, found).line


def test_lost_isolation_does_not_hide_a_test_that_failed():
    bad = measured([], "oslat", state="failed", reason="ended with status 1")
    now = isolating("", measured([flat(1)] * 3), bad)
    line = judge(now, compare(now, isolating("2,3", measured([flat(1)] * 3)))).line
    assert "2-3 were isolated" in line
    assert "oslat (ended with status 1)" in line


def test_isolation_that_the_baseline_had_not_is_only_another_load():
    test = measured([flat(1)] * 3)
    now, before = isolating("2,3", test), isolating("", test)
    assert "another load" in compare(now, before).refusal
    assert status(now, before) == Status.FINE


@pytest.mark.parametrize("virtualization", ["none", "kvm"])
def test_under_another_load_a_test_that_is_missing_is_no_pass(virtualization):
    kept, gone = measured([flat(1)] * 3, "oslat"), measured([flat(1)] * 3)
    now, before = run(kept, virtualization=virtualization), run(kept, gone, virtualization=virtualization)
    now = replace(now, load="stress-ng --cpu 8")
    assert status(now, before) == Status.NOT_MEASURED
    assert "cyclictest on isolated CPUs" in judge(now, compare(now, before)).line


def test_cpus_that_are_left_empty_since_the_baseline_are_named():
    now = run(measured([flat(1)] * 3), left_empty="3,5")
    assert compare(now, run(measured([flat(1)] * 3))).changes == (("left_empty", "", "3,5"),)


def test_without_a_baseline_nothing_is_judged():
    now = run(measured([flat(900)] * 3))
    assert status(now, None) == Status.FINE
    assert "--set-baseline" in judge(now, compare(now, None)).line


def test_a_virtual_machine_is_never_judged():
    now, before = run(measured([flat(900)] * 3), virtualization="kvm"), run(measured([flat(1)] * 3))
    assert status(now, before) == Status.FINE
    assert "virtual" in judge(now, compare(now, before)).line


@pytest.mark.parametrize("virtualization", ["none", "qemu"])
def test_a_tool_that_failed_is_no_pass(virtualization):
    bad = measured([], "oslat", state="failed", reason="ended with status 1")
    verdict = judge(run(measured([flat(1)] * 3), bad, virtualization=virtualization), compare(run(), None))
    assert verdict.status == Status.NOT_MEASURED
    assert "oslat (ended with status 1)" in verdict.line


def test_a_test_that_the_baseline_has_and_the_run_has_not_is_no_pass():
    gone = measured([], state="impossible", reason="cyclictest is not installed")
    other = measured([flat(1)] * 3, "oslat")
    now, before = run(gone, other), run(measured([flat(1)] * 3), other)
    assert compare(now, before).missing == ("cyclictest on isolated CPUs",)
    assert status(now, before) == Status.NOT_MEASURED


def test_what_this_host_never_could_do_is_no_failure():
    gone = measured([], "hwlatdetect", "all", "impossible", "no tracer")
    now = run(gone, measured([flat(1)] * 3))
    assert status(now, now) == Status.FINE


def test_nothing_measured_is_no_pass():
    assert status(run(), None) == Status.NOT_MEASURED


def test_firmware_is_judged_by_its_longest_hold():
    quiet, loud = make({}), make({}, overflow=2, maximum=45.0)
    before, now = (run(measured([one], "hwlatdetect", "all")) for one in (quiet, loud))
    assert status(now, before) == Status.REGRESSION
    assert status(before, before) == Status.FINE


def test_what_changed_on_the_host_is_named():
    now = run(measured([flat(1)] * 3), kernel="6.13")
    assert compare(now, run(measured([flat(1)] * 3))).changes == (("kernel", "6.12", "6.13"),)


@given(st.integers(5, 5000), st.floats(0.2, 5.0))
def test_only_what_is_above_the_allowed_ratio_is_worse(base, factor):
    value = round(base * factor)
    rows = compare(run(measured([flat(value)] * 3)), run(measured([flat(base)] * 3))).rows
    for row in rows:
        assert (row.state == "worse") == (value > base * ALLOWED[row.metric] and value - base > 2)
