# SPDX-License-Identifier: Apache-2.0
"""What the long tests consist of: a stage is a command that a person could type, a plan is stages in order."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.run import mitogen

PYTHON = sys.executable
PYTEST = (PYTHON, "-m", "pytest", "--verbose", "--no-header", "--durations=10", "--durations-min=3")
PLAY = (PYTHON, "-m", "fleet.run.playbook", "playbooks/site.yml")
# Of the verbs in `make test` that are one command.
SHARES = {"lint": 90, "unit": 90, "short-faults": 240}
TUNING = ("sysctl", "kernel", "nic", "irq")
VM_TESTS = "tests/integration/kernel"
# How Molecule says, without colours, that it begins a step.
MOLECULE_STEP = re.compile(r"\[fleet > (?P<step>\w+)\] Executing\b")


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: what the page calls it.
        command: its words.
        share: seconds that it is meant to take on two processors; None if only the whole has a share.
        steps: finds the line with which a step of the command begins; the group `step` is the step's name.
    """

    name: str
    command: tuple[str, ...]
    share: float | None = None
    steps: re.Pattern[str] | None = None


@dataclass(frozen=True)
class Plan:
    """Stages and plans, one after the other until one fails.

    Attributes:
        name: what the page calls it.
        parts: what it consists of.
        clean: removes what an earlier run left, at the beginning, and what this run leaves, whatever failed.
        share: seconds that the whole is meant to take on two processors.
        together: the parts run side by side.
    """

    name: str
    parts: tuple[Stage | Plan, ...]
    clean: Stage | None = None
    share: float | None = None
    together: bool = False


def plans() -> dict[str, Plan]:
    """Return the plans that can be asked for, by their names."""
    fleet, kernel, hft, trading = _fleet(), _kernel(), _hft(), _trading()
    verbs = {name: Stage(name, ("make", "--no-print-directory", name), share) for name, share in SHARES.items()}
    test = Plan("test", (verbs["lint"], verbs["unit"], fleet, kernel, verbs["short-faults"]), share=55 * 60)
    both = Plan("test-kernel", (hft, trading), together=True)
    return {plan.name: plan for plan in (test, fleet, kernel, both, hft, trading, _onload())}


def _fleet() -> Plan:
    """Return the whole fleet as containers, as in `make lab`: from bare hosts to the faults that need real ones."""
    settings = ["NO_COLOR=1", *(f"{name}={value}" for name, value in mitogen.variables().items())]
    lab = ("--inventory", "inventory/lab")

    def molecule(verb: str, *words: str) -> tuple[str, ...]:
        return ("env", *settings, PYTHON, "-m", "molecule", verb, "--scenario-name", "fleet", *words)

    return Plan(
        "fleet",
        (
            Stage("molecule", molecule("test", "--destroy=never"), steps=MOLECULE_STEP),
            Stage("prove", (PYTHON, "-m", "fleet.run.verify", *lab, "--verbose")),
            # After the checks, which kill services: the hosts are still as declared.
            Stage("dry run", (*PLAY, *lab, "--check", "--expect-no-change")),
            _tests("hurt", "tests/integration", f"--ignore={VM_TESTS}"),
        ),
        # By Molecule, which would otherwise believe at the next run that the hosts are there.
        clean=Stage("remove", molecule("destroy")),
        share=28 * 60,
    )


def _kernel() -> Plan:
    """Return what of the kernel layer must be seen at each change: a line, the reboot into it, a line that panics."""
    return _machine(
        "kernel",
        "hft",
        *_state("vm-hft", TUNING)[:2],
        _tests("panic", f"{VM_TESTS}/hft/test_boot_fallback.py"),
        share=720,
    )


def _hft() -> Plan:
    """Return the whole of profile hft: tuning, AF_XDP, the latency tools, a line that panics, power cuts, bad input."""
    latency = (PYTHON, "-m", "fleet.latency", "--inventory", "inventory/vm", "--limit", "vm-hft")
    return _machine(
        "kernel-hft",
        "hft",
        *_state("vm-hft", (*TUNING, "xdp", "latency")),
        # Every tool once; the figures of an emulated machine mean nothing.
        Stage("latency", (*latency, "--seconds", "12")),
        _tests("hurt", f"{VM_TESTS}/hft"),
    )


def _trading() -> Plan:
    """Return profile trading, realtime kernel and huge pages of both sizes, and the way back to the stock machine."""
    roles = (*TUNING, "firmware_check")
    return _machine(
        "kernel-trading",
        "trading",
        *_state("vm-trading", roles, "--check"),
        _tests("hurt", f"{VM_TESTS}/trading"),
        *_state("vm-stock", ("kernel", "irq"), before="stock "),
    )


def _onload() -> Plan:
    """Return kernel bypass with stand-ins for the vendor's packages, whose module DKMS really builds."""
    return _machine("test-onload", "trading", _tests("onload", f"{VM_TESTS}/onload"))


def _machine(name: str, machine: str, *stages: Stage, share: float | None = None) -> Plan:
    verb = (PYTHON, "-m", "lab.vm")
    boot, remove = Stage("boot", (*verb, "create", machine)), Stage("remove", (*verb, "destroy", machine))
    return Plan(name, (boot, *stages), clean=remove, share=share)


def _state(host: str, roles: Sequence[str], *again: str, before: str = "") -> tuple[Stage, Stage, Stage]:
    """Return how a machine is brought into a host's state, proved, and run again, which must change nothing."""
    vm = ("--inventory=inventory/vm", f"--limit={host}")
    play = (*PLAY, *vm, f"--tags={','.join(roles)}")
    files = [f"tests/host/test_{role}.py" for role in roles]
    return (
        Stage(f"{before}converge", play),
        # Nobody uses this machine, so the tests may disturb it.
        _tests(f"{before}prove", *files, "--disruptive", *vm),
        Stage(f"{before}again", (*play, "--expect-no-change", *again)),
    )


def _tests(name: str, *words: str) -> Stage:
    return Stage(name, (*PYTEST, *words))
