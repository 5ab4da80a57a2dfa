# SPDX-License-Identifier: Apache-2.0
"""The runner on the host: what it plans, what it says it cannot do, and that nothing it starts outlives it."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory import cpus
from fleet.latency import parsing
from fleet.paths import PROJECT

FILE = PROJECT / "roles" / "latency" / "files" / "latency_run.py"
SAMPLES = Path(__file__).parent / "samples"
ALL_TOOLS = frozenset({"hwlatdetect", "oslat", "cyclictest", "rtla", "sockperf", "stress-ng", "taskset"})
TRACERS = frozenset({"hwlat", "osnoise", "timerlat"})


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("latency_run", FILE)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules["latency_run"] = found
    spec.loader.exec_module(found)
    return found


runner = module()


def machine(isolated=(2, 3), housekeeping=(0, 1), tracers=TRACERS, tools=ALL_TOOLS) -> Any:
    return runner.Machine(tuple(isolated), tuple(housekeeping), tracers, tools)


@given(st.sets(st.integers(0, 500)))
def test_cpu_lists_are_read_as_the_kernel_writes_them(numbers):
    assert runner.parse_cpus(cpus.compose(numbers) + "\n") == tuple(sorted(numbers))


def test_some_kernels_print_an_empty_list_as_null():
    assert runner.parse_cpus(" (null)\n") == ()


def test_the_order_is_firmware_busy_loop_timers_network():
    steps = runner.plan(machine(), 60, 3, {"station": "10.0.0.1"})
    names = list(dict.fromkeys(step.test for step in steps))
    assert names == ["hwlatdetect", "oslat", "osnoise", "timerlat", "ping-pong loopback", "ping-pong station"]


def test_without_the_tracer_cyclictest_measures_timers_and_leaves_power_management_alone():
    for less in (machine(tracers=frozenset()), machine(tools=ALL_TOOLS - {"rtla"})):
        commands = [step.command for step in runner.plan(less, 60, 3, {}) if step.test == "cyclictest"]
        assert len(commands) == 6
        assert all("--default-system" in command.split() for command in commands)


@given(st.integers(12, 10**6), st.integers(1, 5), st.booleans())
def test_a_test_takes_no_longer_than_it_was_given(seconds, repetitions, isolated):
    steps = runner.plan(machine((2, 3) if isolated else ()), seconds, repetitions, {})
    for name in {step.test for step in steps}:
        assert sum(step.seconds for step in steps if step.test == name) <= seconds


def test_isolated_and_housekeeping_take_turns():
    assert [step.cpus for step in runner.plan(machine(), 60, 2, {}) if step.test == "oslat"] == [
        "isolated",
        "housekeeping",
    ] * 2


def test_without_isolated_cpus_only_housekeeping_is_measured():
    assert {step.cpus for step in runner.plan(machine(()), 60, 3, {})} == {"all", "housekeeping"}


def test_of_many_housekeeping_cpus_four_are_measured():
    assert machine((), range(24)).sets() == {"housekeeping": (0, 1, 2, 3)}


def test_the_load_stays_off_the_isolated_cpus_and_ends_by_itself():
    words = runner.load_command((0, 1, 4), 30, "/tmp/x").split()
    assert words[words.index("--taskset") + 1] == "0,1,4"
    assert words[words.index("--timeout") + 1] == "30s"


def test_main_threads_stay_off_the_isolated_cpus():
    commands = [step.command for step in runner.plan(machine(tracers=frozenset()), 60, 1, {})]
    assert [command for command in commands if "oslat" in command and " -C 0 " in command]
    assert [command for command in commands if "cyclictest" in command and "--mainaffinity=0 " in command]


@pytest.mark.parametrize(
    ("test", "less", "words"),
    [
        ("oslat", machine(tools=frozenset()), "oslat is not installed"),
        ("hwlatdetect", machine(tracers=frozenset()), "tracefs is not mounted"),
        ("hwlatdetect", machine(tracers=frozenset({"function"})), "CONFIG_HWLAT_TRACER"),
        ("osnoise", machine(tracers=frozenset({"hwlat"})), "CONFIG_OSNOISE_TRACER"),
        ("timerlat", machine(tools=ALL_TOOLS - {"rtla"}), "rtla is not installed"),
        ("cyclictest", machine(tools=ALL_TOOLS - {"stress-ng"}), "stress-ng is not installed"),
        ("ping-pong loopback", machine(tools=ALL_TOOLS - {"sockperf"}), "sockperf is not installed"),
    ],
)
def test_what_is_not_possible_says_why(test, less, words):
    assert words in runner.why_not(test, less)
    assert runner.why_not(test, machine()) == ""


def test_the_load_is_not_needed_for_the_network():
    assert runner.why_not("ping-pong loopback", machine(tools=ALL_TOOLS - {"stress-ng"})) == ""


def test_a_ping_pong_uses_two_cores_if_it_can():
    siblings = {0: (0, 1), 1: (0, 1), 2: (2, 3), 3: (2, 3)}.__getitem__
    assert runner.pair((0, 1, 2, 3), siblings) == (0, 2)
    assert runner.pair((0, 1), siblings) == (0, 1)
    assert runner.pair((0,), siblings) == (0, 0)


def test_the_log_of_sockperf_becomes_the_histogram_that_it_prints_itself():
    with (SAMPLES / "sockperf-3.7.csv").open() as lines:
        found = parsing.ping_pong(json.dumps(runner.reduce_log(lines)))
    assert found.maximum == pytest.approx(4935.823)
    assert 280 < found.total < 305


@given(st.lists(st.floats(0.1, 1e6), min_size=1))
def test_reduced_values_keep_three_digits(values):
    found = runner.reduce_log(f"{number}, 1.0, 2.0, {value:.3f}\n" for number, value in enumerate(values))
    assert found["count"] == len(values)
    total = sum(float(value) * count for value, count in found["buckets"].items())
    assert total == pytest.approx(sum(values), rel=0.02)


def test_a_log_without_messages_has_no_limits():
    assert runner.reduce_log(["------\n", "packet, txTime(sec), rxTime(sec), latency(usec)\n"]) == {
        "count": 0,
        "buckets": {},
    }


def alive(group: int) -> list[str]:
    rows = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    return [row for row in rows.splitlines() if row.split()[0] == str(group) and not row.split()[1].startswith("Z")]


def run_and_fail(folder, started) -> None:
    with runner._running(["sh", "-c", "sleep 100 & wait"], folder) as process:
        started.append(process.pid)
        assert alive(process.pid)
        raise RuntimeError("planted")


def test_a_failure_takes_the_whole_process_group_along(tmp_path):
    started: list[int] = []
    with pytest.raises(RuntimeError, match="planted"):
        run_and_fail(tmp_path, started)
    # A killed process needs a processor once more before it is gone.
    deadline = time.monotonic() + 10
    while alive(started[0]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(started[0]) == []


def test_a_tool_that_hangs_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "GRACE", 0)
    status, words = runner._call(["sleep", "100"], tmp_path, 0)
    assert status == -1
    assert "was killed" in words


def test_only_root_may_measure(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as stopped:
        runner.main(["measure", "--host", "h", "--seconds", "6", "--port", "1", "--output", "/nonexistent/x"])
    assert stopped.value.code == 2
    assert "root is needed" in capsys.readouterr().err
