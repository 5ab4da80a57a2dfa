"""Fixtures for tests that change and reboot the virtual machine."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.paths import INVENTORIES
from fleet.vm import machine
from fleet.vm.__main__ import MACHINE


@pytest.fixture
def inventory() -> Path:
    """Return the inventory with the virtual machine."""
    return INVENTORIES / "vm"


@pytest.fixture
def on_vm() -> Callable[[str], str]:
    """Return a function that runs a command in the machine as root and gives what it prints."""

    def run(command: str) -> str:
        done = machine.ssh(MACHINE, f"sudo sh -c {shlex.quote(command)}")
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout

    return run


@pytest.fixture
def power_cut() -> Iterator[Callable[[], None]]:
    """Return a function that takes the machine's power away and gives it back; the machine is up after the test."""

    def cut() -> None:
        machine.power_cut(MACHINE)
        machine.start(MACHINE)
        machine.wait(MACHINE)

    yield cut
    machine.start(MACHINE)
    machine.wait(MACHINE)
