# SPDX-License-Identifier: Apache-2.0
"""From the runner's file to the page: what a person sees, and that nothing comes from elsewhere."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.latency import page, svg
from fleet.latency.comparison import Comparison, compare, judge
from fleet.latency.histogram import make
from fleet.latency.result import ResultError, dump, from_raw, load

SAMPLES = Path(__file__).parent / "samples"


def step(test, cpus, result, status="ok", reason="", *, repetition=1, target="") -> dict[str, Any]:
    words = {"test": test, "cpus": cpus, "cpu_list": "2,3,4", "repetition": repetition, "command": f"{test} -x"}
    outcome = {"status": status, "reason": reason, "output": "", "result": result}
    return {"step": words | {"seconds": 10, "loaded": True, "target": target}, "outcome": outcome}


def raw(*steps: dict[str, Any], **facts: str) -> dict[str, Any]:
    known = {
        "host": "ms01",
        "virtualization": "none",
        "operating_system": "Debian",
        "kernel": "6.12",
        "kernel_version": "#1 SMP PREEMPT_RT",
        "command_line": "isolcpus=2-4 <script>alert(1)</script>",
        "cpu_model": "i9",
        "isolated": "2,3,4",
        "left_empty": "",
        "housekeeping": "0,1",
        "nohz_full": "",
        "governor": "performance",
        "idle_driver": "intel_idle",
        "tools": {"rt-tests": "2.4"},
    }
    return {
        "schema": 1,
        "time": "2026-01-01T00:00:00Z",
        "took_seconds": 100,
        "seconds": 60,
        "repetitions": 2,
        "load": "stress-ng --cpu 2",
        "facts": known | facts,
        "steps": list(steps),
    }


def a_run(**facts: str) -> dict[str, Any]:
    timer, pong = (
        (SAMPLES / "cyclictest-2.4.json").read_text(),
        json.dumps({"count": 3, "buckets": {"8.12": 2, "1.2e+03": 1}, "min": 8.12, "max": 1200.0, "lost": 2}),
    )
    return raw(
        step("hwlatdetect", "all", "", "impossible", "built without the hwlat tracer"),
        step("cyclictest", "isolated", timer),
        step("cyclictest", "housekeeping", timer),
        step("cyclictest", "isolated", timer, repetition=2),
        step("ping-pong loopback", "housekeeping", pong, target="127.0.0.1"),
        **facts,
    )


def shown(values, before=None) -> str:
    result = from_raw(values)
    comparison = compare(result, from_raw(before) if before else None)
    return page.render(result, comparison, judge(result, comparison))


def test_repetitions_become_one_test_with_the_figure_of_each():
    found = from_raw(a_run()).test(("cyclictest", "isolated"))
    assert found is not None
    assert found.histogram.total == 2 * (7985 + 7994)
    assert found.figures["max"].repetitions == (3596, 3596)
    assert not found.figures["p99.99"].enough


def test_a_repetition_that_cannot_be_read_fails_the_test():
    good = (SAMPLES / "cyclictest-2.4.json").read_text()
    result = from_raw(raw(step("cyclictest", "all", good), step("cyclictest", "all", "{", repetition=2)))
    assert result.tests[0].state == "failed"
    assert result.tests[0].histogram.total == 0


def test_lost_messages_are_counted():
    result = from_raw(a_run())
    assert [test.lost for test in result.tests if test.name == "ping-pong loopback"] == [2]
    assert "2 messages were lost" in shown(a_run())


def test_a_result_comes_back_from_its_file(tmp_path):
    result = from_raw(a_run())
    file = tmp_path / "result.json"
    file.write_text(json.dumps(dump(result)))
    assert load(file) == result


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 99}', '{"schema": 1}'])
def test_a_file_that_is_no_result_is_refused_by_name(tmp_path, text):
    file = tmp_path / "baseline.json"
    file.write_text(text)
    with pytest.raises(ResultError, match=r"baseline\.json"):
        load(file)


def test_another_schema_of_the_runner_is_refused():
    with pytest.raises(ResultError, match="schema 2"):
        from_raw(raw() | {"schema": 2})


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere():
    text = shown(a_run(), a_run())
    body = re.sub(r"<!doctype html>|<meta[^>]*>", "", text)
    ElementTree.fromstring(body)  # noqa: S314 - our own words
    assert not re.search(r"<script|<link|<img|@import|url\(|\bsrc=", text)
    assert set(re.findall(r"https?://[^\"'\s<]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_words_of_the_host_cannot_become_markup():
    assert "&lt;script&gt;alert(1)" in shown(a_run())


def test_the_page_says_first_what_came_out():
    text = shown(a_run(), a_run())
    assert text.index("No regression") < text.index("<h2>Host")


def test_what_is_not_possible_says_why():
    assert "Not possible here: built without the hwlat tracer." in shown(a_run())


def test_a_virtual_machine_has_a_banner_and_a_real_one_has_none():
    assert "mean\nnothing" in shown(a_run(virtualization="qemu"))
    assert "mean\nnothing" not in shown(a_run())


def test_a_host_without_isolated_cpus_says_so():
    assert "isolates no CPU" in shown(a_run(isolated=""))
    assert "isolates no CPU" not in shown(a_run())


def test_the_page_names_the_cpus_that_were_left_empty():
    assert "<td>5-6<div>isolated CPUs that the inventory gives to nobody" in shown(a_run(left_empty="5,6"))
    assert "left empty" not in shown(a_run())


def test_a_page_that_compares_no_figures_still_says_what_is_missing_and_what_changed():
    text = shown(a_run(isolated=""), a_run())
    assert "Not compared: CPUs 2-4 were isolated in the baseline, none are now" in text
    assert "isolated was <code>2,3,4</code>, is <code>none</code>" in text
    assert '<th scope="col">ratio</th>' not in text
    fewer = a_run() | {"load": "another"}
    fewer["steps"] = [one for one in fewer["steps"] if one["step"]["target"] == ""]
    assert "In the baseline and not measured now: ping-pong loopback on housekeeping CPUs" in shown(fewer, a_run())


def test_the_page_shows_both_sets_in_one_plot():
    text = shown(a_run())
    assert text.count("<svg") == 2
    assert 'path class="isolated"' in text
    assert 'path class="housekeeping"' in text


def test_without_a_baseline_the_page_says_how_to_get_one():
    assert "--set-baseline" in shown(a_run())


def test_every_kind_of_test_has_words():
    from fleet.latency.parsing import PARSERS  # noqa: PLC0415

    assert page.ABOUT.keys() == PARSERS.keys()


@given(
    st.dictionaries(st.integers(0, 5000).map(float), st.integers(1, 10**9), min_size=1),
    st.integers(0, 9),
    st.booleans(),
)
def test_every_sample_is_in_one_bin_and_every_drawing_is_well_formed(counts, overflow, whole):
    histogram = make({value if whole else value / 7 + 0.01: count for value, count in counts.items()}, overflow)
    borders = svg.edges(min(histogram.counts), histogram.maximum, whole)
    assert sum(svg.bins(histogram, borders)) == histogram.total - overflow
    assert borders == sorted(set(borders))
    ElementTree.fromstring(svg.plot({"isolated": histogram}, "a < b"))  # noqa: S314 - our own words


def test_nothing_measured_draws_nothing():
    assert svg.plot({"isolated": make({})}, "") == ""
    assert Comparison().worse == ()
