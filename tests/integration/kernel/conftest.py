# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests that change and reboot the virtual machine."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.paths import INVENTORIES, PROJECT
from lab.vm import machine
from lab.vm.__main__ import MACHINES

ONLOAD = PROJECT / "lab/stand-ins/onload/build.sh"


@pytest.fixture
def inventory() -> Path:
    """Return the inventory with the virtual machine."""
    return INVENTORIES / "vm"


@pytest.fixture(scope="module")
def vm(request: pytest.FixtureRequest) -> machine.Machine:
    """Return the machine that the module's HOST is a name of."""
    return MACHINES[request.module.HOST.removeprefix("vm-")]


@pytest.fixture(scope="module")
def on_vm(vm: machine.Machine) -> Callable[[str], str]:
    """Return a function that runs a command in the machine as root and gives what it prints."""

    def run(command: str) -> str:
        done = machine.ssh(vm, f"sudo sh -c {shlex.quote(command)}")
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout

    return run


@pytest.fixture
def proven(on_vm: Callable[[str], str]) -> Callable[[], str]:
    """Return a function that reads what runs, less the mark of a trial that was committed, and what GRUB boots."""
    return lambda: on_vm(
        "sed 's/ fleet.trial=[^ ]* panic=30//' /proc/cmdline; uname -r; cat /etc/default/grub.d/60-fleet.cfg"
    )


@pytest.fixture
def power_cut(vm: machine.Machine) -> Iterator[Callable[[], None]]:
    """Return a function that takes the machine's power away and gives it back; the machine is up after the test."""

    def cut() -> None:
        machine.power_cut(vm)
        machine.start(vm)
        machine.wait(vm)

    yield cut
    machine.start(vm)
    machine.wait(vm)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, str]]]:
    """Return a function that builds a release and gives it as the variable onload_packages."""

    def build(version: str, kind: str = "good") -> list[dict[str, str]]:
        folder = tmp_path_factory.mktemp("onload")
        said = subprocess.run([str(ONLOAD), str(folder), version, kind], capture_output=True, text=True, check=True)
        packages: list[dict[str, str]] = json.loads(said.stdout)
        return packages

    return build
