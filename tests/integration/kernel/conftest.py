# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests that change and reboot the virtual machine."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
def refusals(play: Callable[..., Any], tmp_path: Path) -> Callable[..., list[str]]:
    """Return `refusals(role, host, cases)`: what the role says to each mapping of variables, "" if it refuses nothing.

    One play for all: an emulated machine answers slowly, and most of a play's time goes by before its first task. It
    has to change nothing, unless some of the cases are allowed to.
    """

    def run(role: str, host: str, cases: Sequence[Mapping[str, Any]], may_change: bool = False) -> list[str]:
        said = tmp_path / "said.json"
        tasks: list[dict[str, Any]] = []
        for case in cases:
            apply = {"name": "Apply", "ansible.builtin.include_role": {"name": role}, "vars": dict(case)}
            tasks += [
                {"name": "Try", "block": [apply, _note("")], "rescue": [_note("{{ ansible_failed_result | to_json }}")]}
            ]
        save = {"content": "{{ said | to_json }}", "dest": str(said), "mode": "0600"}
        tasks += [
            {
                "name": "Save",
                "ansible.builtin.copy": save,
                "delegate_to": "localhost",
                "become": False,
                "changed_when": False,
            }
        ]
        result = play(role, host, tasks=tasks)
        assert result.rc == 0, result.out
        assert may_change or "changed=0" in result.out, result.out
        return [json.loads(words)["msg"] if words else "" for words in json.loads(said.read_text())]

    return run


def _note(words: str) -> dict[str, Any]:
    return {
        "name": "Note",
        "ansible.builtin.set_fact": {"said": "{{ said | default([]) + [words] }}"},
        "vars": {"words": words},
    }


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
