# SPDX-License-Identifier: Apache-2.0
"""What kernel_boot makes of records that another machine wrote: a restored folder, a restored or cloned disk."""

import json
import shutil
from typing import Any

import pytest

from fleet.host.host_command import Done
from roles.base.library import fleet_migrated
from roles.kernel.library.kernel_boot import describe
from roles.kernel.module_utils.kernel_boot_host import DROPIN, FAILED, RECORD
from tests.unit.roles.kernel.kernel_boot_kit import commit, installed

LINE = "isolcpus=2-3"


@pytest.fixture
def proven(machine) -> Any:
    """Return a machine that has proven the line and runs it."""
    number(machine, "board one")
    commit(machine, LINE)
    machine.boot()
    assert machine.module(LINE)[1].action == "nothing"
    return machine


def number(machine, board) -> None:
    """Write what a board says of itself."""
    folder = machine.root / "sys/class/dmi/id"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "product_uuid").write_text(board)


def restored(source, target, *names) -> Any:
    """Return a new machine with some of another's files."""
    new: Any = installed(target)
    number(new, "board two")
    for name in names:
        (target / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source.root / name[1:], target / name[1:])
    return new


def test_a_restored_record_does_not_spare_a_line_its_trial(proven, tmp_path):
    new = restored(proven, tmp_path / "new", RECORD)
    boot, decision = new.module(LINE)
    assert boot.actions == ["stage", "arm"]
    assert decision.reboot
    assert boot.set_aside == [RECORD]
    assert not new.text(DROPIN)
    kept = new.root / f"{RECORD[1:]}.of-another-machine"
    assert kept.read_text() == proven.text(RECORD)
    assert '"phase": "armed"' in new.text(RECORD)


def test_a_dry_run_names_the_record_of_another_machine_and_leaves_it(proven, tmp_path):
    new = restored(proven, tmp_path / "new", RECORD)
    boot, _ = new.module(LINE, check=True)
    assert boot.actions == ["stage"]
    assert boot.set_aside == [RECORD]
    assert new.text(RECORD) == proven.text(RECORD)


def test_a_restored_failure_does_not_refuse_a_line_that_this_machine_has_not_tried(machine, tmp_path):
    number(machine, "board one")
    machine.module("init=/nowhere")
    machine.environment.clear()
    machine.boot()
    assert machine.module("init=/nowhere", waited=True)[1].failure
    new = restored(machine, tmp_path / "new", FAILED)
    boot, _ = new.module("init=/nowhere")
    assert boot.actions == ["stage", "arm"]
    assert boot.set_aside == [FAILED]


def test_a_proof_from_a_boot_that_the_journal_does_not_know_does_not_spare_a_line_its_trial(machine):
    stock = machine.default()
    commit(machine, LINE)
    machine.start(stock)  # somebody chose it in GRUB's menu
    assert machine.module(LINE, check=True)[0].actions == ["reboot"]
    machine.journal.clear()
    boot, _ = machine.module(LINE)
    assert boot.actions[-2:] == ["stage", "arm"]
    assert boot.set_aside == [RECORD]


def test_a_line_that_runs_from_a_cloned_disk_counts_once_it_shows_what_a_trial_shows(proven):
    number(proven, "board two")
    boot, decision = proven.module(LINE)
    assert (boot.actions, decision.action, decision.reboot) == (["make_default"], "nothing", False)
    assert boot.set_aside == [RECORD]
    assert proven.module(LINE)[0].actions == []


def test_a_line_that_runs_from_a_cloned_disk_and_does_not_work_there_is_refused(proven):
    number(proven, "board two")
    (proven.root / "sys/devices/system/cpu/isolated").write_text("\n")
    boot, decision = proven.module(LINE)
    assert (decision.action, decision.reboot) == ("unfit", False)
    line = describe(decision.action, decision.failure, boot.options)
    assert line.startswith("the host runs the wanted line, which this machine has not tried, and ")
    assert "host_vars" in line
    assert proven.module(LINE)[1].action == "unfit", "the next run does not believe it either"


def of_before(machine) -> None:
    """Give what kernel_boot has written the names that it had before, with a record that names no machine."""
    old = machine.root / "var/lib/station"
    (old / "units").mkdir(parents=True)
    (old / "kernel").mkdir()
    (machine.root / DROPIN[1:]).rename(machine.root / "etc/default/grub.d/60-station.cfg")
    data = json.loads(machine.text(RECORD))
    del data["machine"]
    (old / "kernel/state.json").write_text(json.dumps(data))
    (machine.root / RECORD[1:]).unlink()
    cmdline = machine.root / "proc/cmdline"
    cmdline.write_text(cmdline.read_text().replace("fleet.trial", "station.trial"))


def migrate(machine) -> None:
    def run(words) -> Done:
        known = words[0] != "journalctl" or words[-1].removeprefix("--boot=") in machine.journal
        return Done(0 if known else 1)

    fleet_migrated.migrate(fleet_migrated.Host(machine.root, run), "/var/lib/prometheus/node-exporter", check=False)


def test_a_machine_of_before_keeps_its_proven_line_and_has_nothing_to_do(proven):
    config, dropin = proven.text("/boot/grub/grub.cfg"), proven.text(DROPIN)
    of_before(proven)
    migrate(proven)
    boot, decision = proven.module(LINE)
    assert (boot.actions, boot.set_aside, decision.action) == ([], [], "nothing")
    assert (proven.text("/boot/grub/grub.cfg"), proven.text(DROPIN)) == (config, dropin)


def test_a_machine_of_before_that_still_runs_in_the_boot_of_its_trial_waits_for_its_next_reboot(machine):
    commit(machine, LINE)
    of_before(machine)
    migrate(machine)
    boot, decision = machine.module(LINE, allowed=False)
    assert (boot.set_aside, decision.reboot) == ([], False)
    assert decision.pending.startswith("proven, not running yet: without station.trial=")
    machine.boot()
    assert machine.module(LINE)[1].action == "nothing"
