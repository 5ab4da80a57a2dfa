# SPDX-License-Identifier: Apache-2.0
"""The virtual machine: what its emulator is told, whose process it is, and what is said when nobody can log in."""

import os

import pytest

from fleet.errors import UserError
from fleet.hardware.cpus import parse
from fleet.model.model import Fleet
from fleet.paths import INVENTORIES, PROJECT
from lab.vm import disk, machine
from lab.vm.__main__ import MACHINES


@pytest.fixture
def box(tmp_path, monkeypatch):
    # The emulator is unpacked by whoever starts a machine.
    monkeypatch.setattr(disk, "program", lambda name: [name])
    made = machine.Machine(tmp_path / "box", port=2999)
    made.folder.mkdir()
    made.key.with_suffix(".pub").write_text("ssh-ed25519 AAAA station-vm\n")
    return made


def test_only_loopback_leads_to_the_machine(box):
    forwards = [word for word in machine._command(box) if word.startswith("user,")]
    assert len(forwards) == 2
    for forward in ",".join(forwards).split(","):
        assert not forward.startswith("hostfwd=") or forward.startswith("hostfwd=tcp:127.0.0.")


def test_the_inventory_describes_the_machine_that_the_emulator_shows(box):
    fleet = Fleet.load(INVENTORIES / "vm", PROJECT)
    command = " ".join(machine._command(box))
    assert "-smp 4,sockets=2,cores=1,threads=2" in command
    assert "-m 4G" in command
    for host in fleet.hosts:
        settings = fleet.settings(host)
        name = "hft" if host == "vm-hft" else "trading"
        assert settings["ansible_port"] == MACHINES[name].port
        assert settings["ansible_host"] in machine.ADDRESSES
        cpu = settings["hardware"]["cpu"]
        assert parse(cpu["performance_cpus"]) == frozenset(range(4))
        assert all(f"cpus={node}" in command for node in cpu["numa_nodes"])
        assert settings["hardware"]["memory_gib"] == 4


def test_a_process_id_that_another_program_has_by_now_is_not_the_machine(box):
    box.pid_file.write_text(str(os.getpid()))
    assert machine.process(box) is None


def test_a_machine_that_is_off_is_told_from_one_that_does_not_answer_and_the_console_is_quoted(box):
    box.console.write_text("Loading\nKernel panic - not syncing: no memory\n\n")
    with pytest.raises(UserError, match=r"is off; its console .* ends with: Kernel panic - not syncing: no memory"):
        machine.wait(box, timeout=1)


def test_another_recipe_is_another_image(monkeypatch):
    before = disk._recipe("Debian")
    assert disk._recipe("Ubuntu") != before
    monkeypatch.setattr(disk, "PREINSTALLED_ON_BOTH", ())
    assert disk._recipe("Debian") != before
