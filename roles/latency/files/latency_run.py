#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measure the latencies of this host, one tool after the other, and write what they said into one JSON file.

Nothing is judged here: the control machine reads the tools' words (fleet/latency). Order and tools:
https://docs.redhat.com/en/documentation/openshift_container_platform (performing latency tests): firmware first, then
the busy loop, then timers; the network comes last.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

SCHEMA = 1
HOUSEKEEPING_MEASURED = 4  # a large machine has dozens, and they are only what the isolated ones are compared with
MESSAGES_PER_SECOND = 10_000
SLICE = 60  # seconds of one sockperf call: it keeps every message in memory
GRACE = 120  # seconds that a call may take beyond twice its own length
TRACEFS = Path("/sys/kernel/tracing")
SYSTEM = Path("/sys/devices/system/cpu")
LOOPBACK = "127.0.0.1"
TRACERS = {"hwlatdetect": "hwlat", "osnoise": "osnoise", "timerlat": "timerlat"}
COMMANDS = {
    "hwlatdetect": "hwlatdetect --duration={seconds} --threshold=10",
    "oslat": "oslat -q -b 1024 -C {main} -c {cpus} -D {seconds} --json=result.json",
    "osnoise": "rtla osnoise hist -c {cpus} -b 1 -E 1000 -d {seconds}s",
    "timerlat": "rtla timerlat hist -c {cpus} -p 1000 -b 1 -E 1000 -d {seconds}s",
    # Without --default-system cyclictest forbids idle states itself and hides what applications will meet.
    "cyclictest": "cyclictest --default-system -q -m -p 95 -i 1000 -h 1000 --mainaffinity={main} -a {cpus} -t {number}"
    " -D {seconds} --json=result.json",
}


class ImpossibleError(Exception):
    """A measurement that this host cannot make, and why."""


@dataclass(frozen=True)
class Machine:
    """What decides which measurements are possible; CPU sets as the running kernel has them."""

    isolated: tuple[int, ...]
    housekeeping: tuple[int, ...]
    tracers: frozenset[str]
    tools: frozenset[str]

    def sets(self) -> dict[str, tuple[int, ...]]:
        """Return the CPU sets that are measured."""
        found = {"isolated": self.isolated, "housekeeping": self.housekeeping[:HOUSEKEEPING_MEASURED]}
        return {name: cpus for name, cpus in found.items() if cpus}


@dataclass(frozen=True)
class Step:
    """One call of one tool; `target` is the address that a ping-pong goes to."""

    test: str
    cpus: str  # isolated, housekeeping, all
    cpu_list: str
    repetition: int
    seconds: int
    loaded: bool
    command: str = ""
    target: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a step came to: `ok`, `impossible` or `failed`, with the reason, the tool's words and its own result."""

    status: str
    reason: str = ""
    output: str = ""
    result: str = ""


def parse_cpus(text: str) -> tuple[int, ...]:
    """Return the CPUs of a kernel CPU list; "(null)" is how some kernels print an empty one."""
    cpus: set[int] = set()
    for part in text.strip().replace("(null)", "").split(","):
        first, _, last = part.strip().partition("-")
        if first:
            cpus.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(cpus))


def words(cpus: Iterable[int]) -> str:
    """Return CPUs as a list that every tool understands."""
    return ",".join(str(cpu) for cpu in cpus)


def pair(cpus: Sequence[int], siblings: Callable[[int], Sequence[int]]) -> tuple[int, int]:
    """Return two CPUs for a ping-pong, on two cores if the set has them."""
    others = [cpu for cpu in cpus if cpu not in siblings(cpus[0])]
    return cpus[0], (others or list(cpus[1:]) or [cpus[0]])[0]


def load_command(cpus: Sequence[int], seconds: int, folder: str) -> str:
    """Return the load: fixed stressors on the housekeeping CPUs only. A baseline under another load is not compared."""
    return (
        f"stress-ng --quiet --taskset {words(cpus)} --temp-path {folder} --timeout {seconds}s --cpu {len(cpus)}"
        " --cpu-load 50 --cpu-method matrixprod --vm 1 --vm-bytes 64M --vm-keep --switch 1 --switch-freq 1000 --udp 1"
    )


def plan(machine: Machine, seconds: int, repetitions: int, peers: Mapping[str, str]) -> list[Step]:
    """Return all steps in their order; `seconds` are for one test, `peers` are name -> address of hosts that answer."""
    sets = machine.sets()
    everything = words(sorted({*machine.isolated, *machine.housekeeping}))
    command = COMMANDS["hwlatdetect"].format(seconds=seconds)
    steps = [Step("hwlatdetect", "all", everything, 1, seconds, loaded=False, command=command)]
    part = max(1, seconds // (repetitions * len(sets)))
    # The kernel's own tracer says most; where it is missing, cyclictest measures the same path from outside.
    for test in ("oslat", "osnoise", "cyclictest" if why_not("timerlat", machine) else "timerlat"):
        times = 1 if why_not(test, machine) else repetitions
        steps += [_step(test, name, turn, part, machine) for turn in range(1, times + 1) for name in sets]
    for target, address in {"loopback": LOOPBACK, **peers}.items():
        turns = [_step("ping-pong", name, turn, part, machine) for turn in range(1, repetitions + 1) for name in sets]
        steps += [replace(step, test=f"ping-pong {target}", target=address) for step in turns]
    return steps


def _step(test: str, name: str, turn: int, seconds: int, machine: Machine) -> Step:
    cpus = machine.sets()[name]
    command = COMMANDS.get(test, "").format(
        cpus=words(cpus), number=len(cpus), main=machine.housekeeping[0], seconds=seconds
    )
    return Step(test, name, words(cpus), turn, seconds, loaded=bool(command), command=command)


def why_not(test: str, machine: Machine) -> str:
    """Say why this host cannot make a test; empty if it can."""
    program = COMMANDS.get(test, "sockperf").split(maxsplit=1)[0]
    if program not in machine.tools:
        return f"{program} is not installed"
    tracer = TRACERS.get(test, "")
    if tracer and not machine.tracers:
        return f"no tracers: tracefs is not mounted at {TRACEFS}, or this is a container, which may not read it"
    if tracer and tracer not in machine.tracers:
        return f"this kernel was built without the {tracer} tracer (CONFIG_{tracer.upper()}_TRACER)"
    if program in {"oslat", "rtla", "cyclictest"} and "stress-ng" not in machine.tools:
        return "stress-ng is not installed, and figures without the defined load compare with nothing"
    return ""


def reduce_log(lines: Iterable[str]) -> dict[str, object]:
    """Return the latencies of a sockperf full log as a histogram, values in µs to three digits."""
    counts: Counter[str] = Counter()
    low, high, total = float("inf"), 0.0, 0.0
    for line in lines:
        fields = line.split(",")
        if len(fields) == 4 and fields[0].strip().isdigit():
            value = float(fields[3])
            counts[f"{value:.3g}"] += 1
            low, high, total = min(low, value), max(high, value), total + value
    number = sum(counts.values())
    found = {"count": number, "buckets": dict(counts)}
    return found | {"min": low, "max": high, "avg": total / number} if number else found


# --- the rim: everything below touches the host


def look() -> Machine:
    """Return what this host has."""
    isolated = set(parse_cpus(_text(SYSTEM / "isolated"))) or set(parse_cpus(_text(SYSTEM / "nohz_full")))
    online = parse_cpus(_text(SYSTEM / "online"))
    programs = ("hwlatdetect", "oslat", "cyclictest", "rtla", "sockperf", "stress-ng", "taskset")
    return Machine(
        tuple(cpu for cpu in online if cpu in isolated),
        tuple(cpu for cpu in online if cpu not in isolated),
        frozenset(_text(TRACEFS / "available_tracers").split()),
        frozenset(program for program in programs if shutil.which(program)),
    )


def facts(name: str, machine: Machine) -> dict[str, object]:
    """Return what a reader has to know about the host to judge its figures."""
    models = re.findall(r"^model name\s*: (.*)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    release = dict(line.split("=", 1) for line in _text(Path("/etc/os-release")).splitlines() if "=" in line)
    packages = ("rt-tests", "rtla", "sockperf", "stress-ng")
    versions = _words_of("dpkg-query", "-W", "-f=${Package}=${Version}\n", *packages).split()
    governors = {_text(file).strip() for file in SYSTEM.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return {
        "host": name,
        "virtualization": _words_of("systemd-detect-virt").strip() or "unknown",
        "operating_system": release.get("PRETTY_NAME", "").strip('"'),
        "kernel": platform.release(),
        "kernel_version": platform.version(),
        "command_line": _text(Path("/proc/cmdline")).strip(),
        "cpu_model": models[0] if models else platform.machine(),
        "isolated": words(machine.isolated),
        "housekeeping": words(machine.housekeeping),
        "nohz_full": words(parse_cpus(_text(SYSTEM / "nohz_full"))),
        "governor": ", ".join(sorted(governors)),
        "idle_driver": _text(SYSTEM / "cpuidle" / "current_driver").strip(),
        "tools": dict(version.split("=", 1) for version in versions if not version.endswith("=")),
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _words_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _siblings(cpu: int) -> tuple[int, ...]:
    return parse_cpus(_text(SYSTEM / f"cpu{cpu}" / "topology" / "thread_siblings_list"))


@contextmanager
def _running(command: Sequence[str], folder: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program with a process group of its own that is gone afterwards, whatever happens."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(timeout=5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        process.wait()


def _call(command: Sequence[str], folder: str, seconds: int) -> tuple[int, str]:
    with _running(command, folder) as process:
        try:
            output, _ = process.communicate(timeout=2 * seconds + GRACE)
        except subprocess.TimeoutExpired:
            return -1, f"{command[0]} did not end after {2 * seconds + GRACE} s and was killed"
        return process.returncode, output


def perform(step: Step, machine: Machine, port: int) -> Outcome:
    """Carry out one step, under the load if it asks for it; the load ends with it."""
    reason = why_not(step.test, machine)
    if reason:
        return Outcome("impossible", reason)
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        load = load_command(machine.housekeeping, 2 * step.seconds + GRACE + 60, folder).split()
        with _running(load, folder) if step.loaded else nullcontext() as pressure:
            if pressure is not None:
                time.sleep(1)  # let the stressors start
            outcome = _ping_pong(step, folder, port) if step.target else _tool(step, folder)
            if pressure is not None and pressure.poll() is not None:
                return Outcome("failed", f"the load ended early with status {pressure.returncode}", outcome.output)
        return outcome


def _tool(step: Step, folder: str) -> Outcome:
    status, output = _call(step.command.split(), folder, step.seconds)
    result = _text(Path(folder, "result.json")) or output
    # hwlatdetect ends with 1 when it found a latency, which is a result.
    if result.strip() and (status == 0 or (step.test == "hwlatdetect" and "Max Latency" in result)):
        return Outcome("ok", output="" if result == output else output[-2000:], result=result)
    last = (output.strip().splitlines() or ["no output"])[-1]
    return Outcome("failed", f"ended with status {status}: {last}", output[-4000:])


def _ping_pong(step: Step, folder: str, port: int) -> Outcome:
    client, server = pair(parse_cpus(step.cpu_list), _siblings)
    local = step.target == LOOPBACK
    outputs: list[str] = []
    command = f"taskset -c {client} sockperf ping-pong -i {step.target} -p {port} --mps {MESSAGES_PER_SECOND}"
    with _running(server_command(server, LOOPBACK, port), folder) if local else nullcontext():
        if local and not _listening(port):
            return Outcome("failed", f"sockperf's server did not open UDP port {port}")
        reduced = reduce_log(_slices(command, step.seconds, folder, outputs))
    lost = sum(int(number) for output in outputs for number in re.findall(r"# dropped messages = (\d+)", output))
    if not reduced["count"]:
        return Outcome("failed", f"no answer from {step.target} port {port}", outputs[-1][-4000:])
    return Outcome("ok", output=outputs[-1][-4000:], result=json.dumps(reduced | {"lost": lost}))


def _slices(command: str, seconds: int, folder: str, outputs: list[str]) -> Iterator[str]:
    """Yield the log of calls that follow each other, so that memory and disk hold one slice only."""
    log = Path(folder, "slice.csv")
    for begin in range(0, seconds, SLICE):
        part = min(seconds - begin, SLICE)
        log.unlink(missing_ok=True)
        _, output = _call([*command.split(), "-t", str(part), "--full-log", log.name], folder, part)
        outputs.append(output)
        if log.exists():
            with log.open() as lines:
                yield from lines


def server_command(cpu: int, address: str, port: int) -> list[str]:
    """Return the words that start a ping-pong server on one CPU."""
    return f"taskset -c {cpu} sockperf server -i {address} -p {port}".split()


def _listening(port: int) -> bool:
    for _ in range(100):
        if any(f":{port:04X} " in line for line in _text(Path("/proc/net/udp")).splitlines()):
            return True
        time.sleep(0.1)
    return False


def measure(options: argparse.Namespace) -> int:
    """Carry out the whole plan with a line for each step; 0 if at least one measurement was made."""
    machine = look()
    steps, began = plan(machine, options.seconds, options.repetitions, dict(options.peer)), time.time()
    print(f"CPUs: isolated {words(machine.isolated) or 'none'}, housekeeping {words(machine.housekeeping)}", flush=True)
    done: list[dict[str, object]] = []
    for number, step in enumerate(steps, start=1):
        where = f"{step.test}, {step.cpus} CPUs {step.cpu_list}, repetition {step.repetition}"
        print(f"[{number}/{len(steps)}] {where}: {step.seconds} s ...", flush=True)
        outcome = perform(step, machine, options.port)
        if outcome.status != "ok":
            print(f"[{number}/{len(steps)}] {outcome.status}: {outcome.reason}", flush=True)
        done.append({"step": asdict(step), "outcome": asdict(outcome)})
    raw = {
        "schema": SCHEMA,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "took_seconds": round(time.time() - began),
        "seconds": options.seconds,
        "repetitions": options.repetitions,
        "load": load_command(machine.housekeeping, 0, "FOLDER").replace(" --temp-path FOLDER --timeout 0s", ""),
        "facts": facts(options.host, machine),
        "steps": done,
    }
    options.output.write_text(json.dumps(raw))
    good = sum(entry["outcome"]["status"] == "ok" for entry in done)  # type: ignore[index]
    print(f"{good} of {len(steps)} measurements made in {raw['took_seconds']} s: {options.output}", flush=True)
    return 0 if good else 1


def serve(options: argparse.Namespace) -> int:
    """Answer ping-pongs of another host, on an isolated CPU if there is one, until somebody ends it."""
    machine = look()
    chosen = (machine.isolated or machine.housekeeping)[-1]
    command = server_command(chosen, options.address, options.port)
    os.execvp(command[0], command)  # noqa: S606 - a fixed list of words


def _peer(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    return name, address


def _end(number: int, _frame: object) -> NoReturn:
    """Turn a signal into an exception, so that every `finally` runs and no load stays behind."""
    sys.exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    measuring = commands.add_parser("measure", help="measure this host")
    measuring.add_argument("--host", required=True, help="its name in the inventory")
    measuring.add_argument("--seconds", type=int, required=True, help="for each test")
    measuring.add_argument("--repetitions", type=int, default=3)
    measuring.add_argument("--peer", action="append", default=[], type=_peer, help="NAME=ADDRESS of one that serves")
    measuring.add_argument("--output", type=Path, required=True)
    measuring.set_defaults(run=measure)
    serving = commands.add_parser("serve", help="answer the ping-pongs of another host")
    serving.add_argument("--address", required=True)
    serving.set_defaults(run=serve)
    for command in (measuring, serving):
        command.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        parser.error("root is needed for real-time priorities and tracers")
    signal.signal(signal.SIGTERM, _end)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
