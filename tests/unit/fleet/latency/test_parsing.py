# SPDX-License-Identifier: Apache-2.0
"""Samples are what the tools wrote on real kernels; their versions are in the file names."""

import json
from pathlib import Path

import pytest

from fleet.latency import parsing
from fleet.latency.parsing import PARSERS, ParseError

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> str:
    return (SAMPLES / name).read_text()


def test_cyclictest_counts_what_is_beyond_its_histogram():
    found = parsing.cyclictest(sample("cyclictest-2.4.json"))
    assert (found.total, found.overflow, found.minimum, found.maximum) == (7985 + 7994, 7, 4, 3596)
    assert found.percentile(1) == 3596


def test_oslat_keeps_what_is_beyond_apart():
    found = parsing.oslat(sample("oslat-2.4.json"), buckets=64)
    assert (found.overflow, found.maximum) == (41, 1266)
    assert max(found.counts) == 58
    assert found.percentile(0.5) == 1


def test_rtla_timerlat_gives_the_threads_and_not_the_interrupts():
    found = parsing.timerlat(sample("timerlat-6.12.txt"))
    assert (found.total, found.overflow) == (1002 + 1092, 267 + 303)
    assert (found.minimum, found.maximum) == (49, 29250)


def test_rtla_osnoise_adds_the_cpus_up():
    found = parsing.osnoise(sample("osnoise-6.12.txt"))
    assert (found.total, found.overflow) == (97036 + 91106, 93 + 73)
    assert found.counts[1.0] == 51297 + 51682
    assert found.maximum == 94463


@pytest.mark.parametrize("row", ["over:", "count:", "max:"])
def test_a_table_of_rtla_that_was_cut_off_is_refused(row):
    text = sample("osnoise-6.12.txt")
    with pytest.raises(ParseError, match="cut off"):
        parsing.osnoise(text[: text.index(row)])


def test_a_table_of_rtla_that_does_not_add_up_is_refused():
    with pytest.raises(ParseError, match="add up in column CPU-002"):
        parsing.osnoise(sample("osnoise-6.12.txt").replace("51297", "51298"))


def test_oslat_of_another_version():
    found = parsing.oslat(sample("oslat-2.6.json"))
    assert (found.overflow, found.maximum) == (184, 138476)


def test_hwlatdetect_on_a_real_kernel():
    found = parsing.hwlatdetect(sample("hwlatdetect-2.6.txt"))
    assert (found.total, found.maximum) == (12, 44027)


def test_every_thread_counts():
    thread = {"histogram": {"1": 5}, "min": 1, "max": 1, "cycles": 5}
    text = json.dumps({"thread": {"0": thread, "1": thread | {"histogram": {"7": 2}, "max": 7, "cycles": 2}}})
    assert parsing.cyclictest(text).counts == {1.0: 5, 7.0: 2}


@pytest.mark.parametrize("tool", ["cyclictest", "oslat"])
@pytest.mark.parametrize("text", ["", "{}", '{"thread": {}}', '{"thread": {"0": {}}}', '{"thread": [1]}'])
def test_a_result_without_threads_is_refused(tool, text):
    with pytest.raises(ParseError, match=tool):
        PARSERS[tool](text)


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"count": 0, "buckets": {}}', '{"buckets": {"x": 1}, "min": 1, "max": 2}', "[]"],
)
def test_a_ping_pong_without_messages_is_refused(text):
    with pytest.raises(ParseError, match="ping-pong"):
        parsing.ping_pong(text)


def test_hwlatdetect_with_nothing_found_is_a_result():
    found = parsing.hwlatdetect("Max Latency: Below threshold\nSamples recorded: 0\nSamples exceeding threshold: 0\n")
    assert (found.total, found.maximum) == (0, 0)


def test_hwlatdetect_with_a_finding():
    found = parsing.hwlatdetect("Max Latency: 27us\nSamples recorded: 4\nSamples exceeding threshold: 4\n")
    assert (found.total, found.maximum) == (4, 27)


@pytest.mark.parametrize("tool", ["hwlatdetect", "timerlat", "osnoise"])
def test_words_that_are_no_result_are_refused(tool):
    with pytest.raises(ParseError, match="printed no"):
        PARSERS[tool]("Failed to enable the tracer\n")
