# SPDX-License-Identifier: Apache-2.0
"""The runner on the host: what it plans, what it says it cannot do, and that nothing it starts outlives it."""

import importlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.hardware import cpus
from fleet.latency import parsing
from fleet.paths import PROJECT

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(PROJECT / "roles/latency/files"))
    planned = importlib.import_module("latency_plan")
    runner = importlib.import_module("latency_run")

SAMPLES = Path(__file__).parent / "samples"
ALL_TOOLS = frozenset({"hwlatdetect", "oslat", "cyclictest", "rtla", "sockperf", "stress-ng", "taskset"})
TRACERS = frozenset({"hwlat", "osnoise", "timerlat"})


def machine(isolated=(2, 3), housekeeping=(0, 1), tracers=TRACERS, tools=ALL_TOOLS, idle=()) -> Any:
    return planned.Machine(tuple(isolated), tuple(housekeeping), tracers, tools, tuple(idle))


@given(st.sets(st.integers(0, 500)))
def test_cpu_lists_are_read_as_the_kernel_writes_them(numbers):
    assert runner.cpus(cpus.compose(numbers) + "\n") == tuple(sorted(numbers))


def test_some_kernels_print_an_empty_list_as_null():
    assert runner.cpus(" (null)\n") == ()


def test_the_order_is_firmware_busy_loop_timers_network():
    steps = planned.plan(machine(), 60, 3, {"station": "10.0.0.1"})
    names = list(dict.fromkeys(step.test for step in steps))
    assert names == ["hwlatdetect", "oslat", "osnoise", "timerlat", "ping-pong loopback", "ping-pong station"]


def test_without_the_tracer_cyclictest_measures_timers_and_leaves_power_management_alone():
    for less in (machine(tracers=frozenset()), machine(tools=ALL_TOOLS - {"rtla"})):
        commands = [step.command for step in planned.plan(less, 60, 3, {}) if step.test == "cyclictest"]
        assert len(commands) == 6
        assert all("--default-system" in command.split() for command in commands)


@given(st.integers(12, 10**6), st.integers(1, 5), st.booleans())
def test_a_test_takes_no_longer_than_it_was_given(seconds, repetitions, isolated):
    steps = planned.plan(machine((2, 3) if isolated else ()), seconds, repetitions, {})
    for name in {step.test for step in steps}:
        assert sum(step.seconds for step in steps if step.test == name) <= seconds


def test_isolated_and_housekeeping_take_turns():
    assert [step.cpus for step in planned.plan(machine(), 60, 2, {}) if step.test == "oslat"] == [
        "isolated",
        "housekeeping",
    ] * 2


def test_without_isolated_cpus_only_housekeeping_is_measured():
    assert {step.cpus for step in planned.plan(machine(()), 60, 3, {})} == {"all", "housekeeping"}


def test_of_many_housekeeping_cpus_four_are_measured():
    assert machine((), range(24)).sets() == {"housekeeping": (0, 1, 2, 3)}


def test_isolated_cpus_that_are_left_empty_are_not_measured():
    steps = planned.plan(machine((2, 3, 4, 5), idle=(3, 5)), 60, 3, {"station": "10.0.0.1"})
    assert {step.cpu_list for step in steps if step.cpus == "isolated"} == {"2,4"}
    assert not any(" 2,3" in step.command or ",5" in step.command for step in steps)
    assert {step.cpu_list for step in steps if step.cpus == "housekeeping"} == {"0,1"}


def test_of_the_cpus_to_leave_empty_those_count_that_the_kernel_isolates_and_has_online(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SYSTEM", tmp_path)
    (tmp_path / "isolated").write_text("2-7\n")
    (tmp_path / "online").write_text("0-6\n")
    found = runner.look(runner.cpus("1,3,5,7"))
    assert (found.isolated, found.idle, found.housekeeping) == ((2, 3, 4, 5, 6), (3, 5), (0, 1))
    told = runner.facts("ms01", found)
    assert (told["isolated"], told["left_empty"]) == ("2,3,4,5,6", "3,5")


def test_a_peer_answers_on_an_isolated_cpu_that_is_not_left_empty(monkeypatch):
    def gone(_, words) -> None:
        raise SystemExit(" ".join(words))

    monkeypatch.setattr(runner, "look", lambda idle: machine((2, 3), idle=idle))
    monkeypatch.setattr(os, "execvp", gone)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(runner.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="taskset -c 2 sockperf server"):
        runner.main(["serve", "--address", "10.0.0.1", "--port", "1", "--idle=3"])


def test_the_load_stays_off_the_isolated_cpus_and_ends_by_itself():
    words = planned.load_command((0, 1, 4), 30, "/tmp/x").split()
    assert words[words.index("--taskset") + 1] == "0,1,4"
    assert words[words.index("--timeout") + 1] == "30s"


def test_main_threads_stay_off_the_isolated_cpus():
    commands = [step.command for step in planned.plan(machine(tracers=frozenset()), 60, 1, {})]
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
    assert words in planned.why_not(test, less)
    assert planned.why_not(test, machine()) == ""


def test_the_load_is_not_needed_for_the_network():
    assert planned.why_not("ping-pong loopback", machine(tools=ALL_TOOLS - {"stress-ng"})) == ""


def test_a_ping_pong_uses_two_cores_if_it_can():
    siblings = {0: (0, 1), 1: (0, 1), 2: (2, 3), 3: (2, 3)}.__getitem__
    assert planned.pair((0, 1, 2, 3), siblings) == (0, 2)
    assert planned.pair((0, 1), siblings) == (0, 1)
    assert planned.pair((0,), siblings) == (0, 0)


def test_the_log_of_sockperf_becomes_the_histogram_that_it_prints_itself():
    with (SAMPLES / "sockperf-3.7.csv").open() as lines:
        found = parsing.ping_pong(json.dumps(planned.reduce_log(lines)))
    assert found.maximum == pytest.approx(4935.823)
    assert 280 < found.total < 305


@given(st.lists(st.floats(0.1, 1e6), min_size=1))
def test_reduced_values_keep_three_digits(values):
    found = planned.reduce_log(f"{number}, 1.0, 2.0, {value:.3f}\n" for number, value in enumerate(values))
    assert found["count"] == len(values)
    total = sum(float(value) * count for value, count in found["buckets"].items())
    assert total == pytest.approx(sum(values), rel=0.02)


def test_a_log_without_messages_has_no_limits():
    assert planned.reduce_log(["------\n", "packet, txTime(sec), rxTime(sec), latency(usec)\n"]) == {
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


def test_a_tool_that_prints_its_banner_after_its_complaint_is_failed_for_the_complaint(tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho 'cannot pin to CPU 3: errno=11' >&2; echo 'tool V 2.60'; exit 1\n")
    tool.chmod(0o755)
    outcome = runner._tool(planned.Step("oslat", "isolated", "3", 1, 1, loaded=False, command=str(tool)), str(tmp_path))
    assert (outcome.status, outcome.reason) == ("failed", "ended with status 1: cannot pin to CPU 3: errno=11")


ANSWERS = "printf '0, 1.0, 1.1, 8.5\\n1, 1.2, 1.3, 9.5\\n' > slice.csv"
STAYS = "exec sleep 100"


@pytest.fixture
def ping_pong(tmp_path, monkeypatch):
    """Return a function that measures with a played sockperf: what its client and its server do, in shell."""

    def call(client, server=STAYS, target=planned.LOOPBACK) -> Any:
        played = {"taskset": 'shift 2; exec "$@"', "sockperf": f"case $1 in server) {server};; *) {client};; esac"}
        for name, text in played.items():
            file = tmp_path / name
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setattr(runner, "_listening", lambda _: True)
        step = planned.Step(f"ping-pong {target}", "isolated", "0,1", 1, 70, loaded=False, target=target)
        return runner._ping_pong(step, str(tmp_path), 18111)

    return call


def test_a_ping_pong_whose_both_sides_last_is_a_result(ping_pong):
    found = ping_pong(ANSWERS)
    assert (found.status, json.loads(found.result)["count"]) == ("ok", 4)  # two calls: 60 s and 10 s
    assert ping_pong(ANSWERS, target="10.0.0.1").status == "ok"


def test_a_client_that_dies_halfway_is_a_failed_test_with_its_last_line(ping_pong):
    found = ping_pong(f"{ANSWERS}; [ $9 = 60 ] || {{ echo sockperf: planted; exit 3; }}")
    assert (found.status, found.reason) == ("failed", "sockperf ended with status 3: sockperf: planted")


def test_a_server_that_dies_halfway_is_a_failed_test_with_its_last_line(ping_pong):
    found = ping_pong(f"sleep 0.5; {ANSWERS}", server="echo server: planted; exit 5")
    assert (found.status, found.reason) == ("failed", "sockperf's server ended with status 5: server: planted")


def test_a_peer_that_died_is_a_failed_test_although_the_client_ends_with_0(ping_pong):
    found = ping_pong(f"[ $9 = 1 ] && echo No messages were received || {ANSWERS}", target="10.0.0.1")
    assert found.status == "failed"
    assert found.reason == "10.0.0.1 port 18111 answered at first and answers no more"


def test_nobody_who_answers_is_a_failed_test(ping_pong):
    assert ping_pong("true").reason == "no answer from 127.0.0.1 port 18111"


def test_only_root_may_measure(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as stopped:
        runner.main(["measure", "--host", "h", "--seconds", "6", "--port", "1", "--output", "/nonexistent/x"])
    assert stopped.value.code == 2
    assert "root is needed" in capsys.readouterr().err
