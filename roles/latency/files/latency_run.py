#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Measure the latencies of this host, one tool after the other, and write what they said into one JSON file.

Nothing is judged here: the control machine reads the tools' words (fleet/latency).
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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from cpu_lists import of_kernel
from latency_plan import (
    LOOPBACK,
    TRACEFS,
    Machine,
    Outcome,
    Step,
    load_command,
    pair,
    plan,
    reduce_log,
    why_not,
    words,
)

SCHEMA = 1
MESSAGES_PER_SECOND = 10_000
SLICE = 60  # seconds of one sockperf call: it keeps every message in memory
GRACE = 120  # seconds that a call may take beyond twice its own length
SYSTEM = Path("/sys/devices/system/cpu")


class BrokenOffError(Exception):
    """A tool that ended before its time, and how."""


def cpus(text: str) -> tuple[int, ...]:
    """Return the CPUs of a list in their order."""
    return tuple(sorted(of_kernel(text)))


def look(idle: Iterable[int]) -> Machine:
    """Return what this host has; the kernel cannot know which of its CPUs are to be left `idle`."""
    isolated = set(cpus(_text(SYSTEM / "isolated"))) or set(cpus(_text(SYSTEM / "nohz_full")))
    online = cpus(_text(SYSTEM / "online"))
    programs = ("hwlatdetect", "oslat", "cyclictest", "rtla", "sockperf", "stress-ng", "taskset")
    return Machine(
        tuple(cpu for cpu in online if cpu in isolated),
        tuple(cpu for cpu in online if cpu not in isolated),
        frozenset(_text(TRACEFS / "available_tracers").split()),
        frozenset(program for program in programs if shutil.which(program)),
        tuple(cpu for cpu in online if cpu in isolated.intersection(idle)),
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
        "left_empty": words(machine.idle),
        "housekeeping": words(machine.housekeeping),
        "nohz_full": words(cpus(_text(SYSTEM / "nohz_full"))),
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
    return cpus(_text(SYSTEM / f"cpu{cpu}" / "topology" / "thread_siblings_list"))


@contextmanager
def _running(command: Sequence[str], folder: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program with a process group of its own that is gone afterwards, whatever happens."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
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
            said = process.communicate(timeout=2 * seconds + GRACE)
        except subprocess.TimeoutExpired:
            return -1, f"{command[0]} did not end after {2 * seconds + GRACE} s and was killed"
        # Errors last: in one pipe the banner, which waits in the tool's buffer, would stand behind the reason.
        return process.returncode, "".join(said)


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
    return Outcome("failed", _end_of(status, output), output[-4000:])


def _end_of(status: int, output: str) -> str:
    last = (output.strip().splitlines() or ["no output"])[-1]
    return f"ended with status {status}: {last}"


def _ping_pong(step: Step, folder: str, port: int) -> Outcome:
    outputs: list[str] = []
    try:
        reduced = _exchange(step, folder, port, outputs)
    except BrokenOffError as error:
        return Outcome("failed", str(error), "".join(outputs[-1:])[-4000:])
    lost = sum(int(number) for output in outputs for number in re.findall(r"# dropped messages = (\d+)", output))
    return Outcome("ok", output=outputs[-1][-4000:], result=json.dumps(reduced | {"lost": lost}))


def _exchange(step: Step, folder: str, port: int, outputs: list[str]) -> dict[str, object]:
    """Return the latencies of a client and a server that both lasted.

    A client whose server died waits in silence until its time is over, and ends with 0.
    """
    client, server = pair(cpus(step.cpu_list), _siblings)
    command = f"taskset -c {client} sockperf ping-pong -i {step.target} -p {port} --mps {MESSAGES_PER_SECOND}"
    local = step.target == LOOPBACK
    with _running(server_command(server, LOOPBACK, port), folder) if local else nullcontext() as serving:
        if local and not _listening(port):
            raise BrokenOffError(f"sockperf's server did not open UDP port {port}")
        reduced = reduce_log(_slices(command, step.seconds, folder, outputs))
        if serving is not None and serving.poll() is not None:
            raise BrokenOffError(f"sockperf's server {_end_of(serving.returncode, ''.join(serving.communicate()))}")
        if not reduced["count"]:
            raise BrokenOffError(f"no answer from {step.target} port {port}")
        # A lost message silences a call as well, but not the next one.
        if not local and not reduce_log(_slices(command, 1, folder, []))["count"]:
            raise BrokenOffError(f"{step.target} port {port} answered at first and answers no more")
    return reduced


def _slices(command: str, seconds: int, folder: str, outputs: list[str]) -> Iterator[str]:
    """Yield the log of calls that follow each other, so that memory and disk hold one slice only."""
    log = Path(folder, "slice.csv")
    for begin in range(0, seconds, SLICE):
        part = min(seconds - begin, SLICE)
        log.unlink(missing_ok=True)
        status, output = _call([*command.split(), "-t", str(part), "--full-log", log.name], folder, part)
        outputs.append(output)
        if status:
            raise BrokenOffError(f"sockperf {_end_of(status, output)}")
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
    machine = look(options.idle)
    steps, began = plan(machine, options.seconds, options.repetitions, dict(options.peer)), time.time()
    isolated, idle = (words(members) or "none" for members in (machine.isolated, machine.idle))
    print(f"CPUs: isolated {isolated} (left empty: {idle}), housekeeping {words(machine.housekeeping)}", flush=True)
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
    machine = look(options.idle)
    chosen = (machine.sets().get("isolated") or machine.housekeeping)[-1]
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
        command.add_argument("--idle", type=cpus, default=(), help="CPUs that the inventory leaves empty")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        parser.error("root is needed for real-time priorities and tracers")
    signal.signal(signal.SIGTERM, _end)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
