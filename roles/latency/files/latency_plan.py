# SPDX-License-Identifier: Apache-2.0
"""What latency-run measures on a machine, on which CPUs and in which order. Nothing here touches the host.

Order and tools: https://docs.redhat.com/en/documentation/openshift_container_platform (performing latency tests):
firmware first, then the busy loop, then timers; the network comes last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HOUSEKEEPING_MEASURED = 4  # a large machine has dozens, and they are only what the isolated ones are compared with
TRACEFS = Path("/sys/kernel/tracing")
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


@dataclass(frozen=True)
class Machine:
    """What decides which measurements are possible; CPU sets as the running kernel has them."""

    isolated: tuple[int, ...]
    housekeeping: tuple[int, ...]
    tracers: frozenset[str]
    tools: frozenset[str]
    idle: tuple[int, ...] = ()  # isolated CPUs that the inventory leaves empty

    def sets(self) -> dict[str, tuple[int, ...]]:
        """Return the CPU sets that are measured: both threads of a core at once would measure each other."""
        used = tuple(cpu for cpu in self.isolated if cpu not in self.idle)
        found = {"isolated": used, "housekeeping": self.housekeeping[:HOUSEKEEPING_MEASURED]}
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
