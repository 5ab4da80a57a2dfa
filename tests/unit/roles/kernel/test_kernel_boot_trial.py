# SPDX-License-Identifier: Apache-2.0
"""A line's way on a played host: staged, tried, committed or given up, and removed again."""

from __future__ import annotations

import json

import pytest

from roles.kernel.library.kernel_boot import Boot, describe
from roles.kernel.module_utils import kernel_boot_plan as plan
from roles.kernel.module_utils import kernel_grub as grub
from roles.kernel.module_utils.kernel_boot_host import (
    CONFIG,
    CONFIRMED,
    DROPIN,
    FAILED,
    REACHED,
    RECORD,
    SCRIPT,
    BootError,
    read_record,
)
from tests.unit.roles.kernel.kernel_boot_kit import REALTIME, RELEASE, UUID, commit


def test_stage_trial_commit_and_rest(machine):
    before = machine.text(CONFIG)
    _, decision = machine.module("isolcpus=2-3")
    assert decision.action == "arm"
    assert machine.text(DROPIN) == ""
    assert machine.environment == {"next_entry": "fleet-trial"}
    assert grub.parse(before).entries[0] == grub.parse(machine.text(CONFIG)).entries[0]
    machine.boot()
    words = machine.text("/proc/cmdline").split()
    assert words[:6] == [
        f"BOOT_IMAGE=/boot/vmlinuz-{RELEASE}",
        "root=UUID=3f1c",
        "ro",
        "console=ttyS0",
        "quiet",
        "isolcpus=2-3",
    ]
    assert words[6].startswith("fleet.trial=")
    assert words[7:] == ["panic=30"]
    boot, decision = machine.module("isolcpus=2-3", waited=True)
    assert boot.actions == ["commit", "make_default"]
    assert machine.text(CONFIRMED)
    assert machine.default() == plan.Line(RELEASE, ("root=UUID=3f1c", "ro", "console=ttyS0", "quiet", "isolcpus=2-3"))
    assert not (machine.root / SCRIPT[1:]).exists()
    assert "fleet-trial" not in machine.text(CONFIG)
    boot, decision = machine.module("isolcpus=2-3")
    assert (boot.actions, decision.action) == ([], "nothing")
    machine.boot()
    boot, decision = machine.module("isolcpus=2-3")
    assert (boot.actions, decision.action) == ([], "nothing")
    assert "fleet.trial" not in machine.text("/proc/cmdline")


def test_the_drop_in_pins_the_kernel_that_was_proven(machine):
    commit(machine, "isolcpus=2-3")
    assert f'GRUB_DEFAULT="gnulinux-advanced-{UUID}>gnulinux-{RELEASE}-advanced-{UUID}"' in machine.text(DROPIN)
    commit(machine, "isolcpus=2-3", release=REALTIME)
    assert machine.default() is not None
    assert machine.default().release == REALTIME
    record = read_record(machine.host().record(RECORD).data)
    assert record is not None
    assert record.previous == RELEASE


def test_the_script_is_what_grub_reads_and_changes_nothing_else(machine):
    machine.module("isolcpus=2-3")
    entry = next(entry for entry in grub.parse(machine.text(CONFIG)).entries if entry.ids == ("fleet-trial",))
    assert entry.body[0] == "load_video"
    assert not {"savedefault", "recordfail"} & set(entry.body)
    assert entry.body[-1] == f"initrd /boot/initrd.img-{RELEASE}" or entry.body[-1].startswith("initrd\t")


def test_a_trial_that_never_came_up_is_recorded_with_its_arguments(machine):
    machine.module("init=/nowhere")
    machine.environment.clear()  # GRUB took it, the kernel panicked
    machine.boot()
    _, decision = machine.module("init=/nowhere", waited=True)
    assert "did not reach user space" in decision.failure
    data = json.loads(machine.text(FAILED))
    assert "init=/nowhere" in data["line"]["words"]
    assert {"hash", "reason", "when"} <= data.keys()
    assert machine.module("init=/nowhere")[1].action == "refuse"
    assert "rm /var/lib/fleet/kernel/failed.json" in describe(
        decision.action, decision.failure, {"release": RELEASE, "arguments": ["init=/nowhere"]}
    )
    assert machine.environment == {}
    assert machine.default() is not None
    assert machine.default().words == ("root=UUID=3f1c", "ro", "console=ttyS0", "quiet", "splash", "quiet")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda m: (m.root / "sys/devices/system/cpu/isolated").write_text("\n"),
            "isolated is empty with isolcpus=2-3",
        ),
        (lambda m: setattr(m, "failed", "redis.service loaded failed failed Redis\n"), "redis.service failed"),
        (
            lambda m: setattr(m, "log", '[0.0] Unknown kernel command line parameters "isolcpus=2-3", will'),
            "know isolcpus",
        ),
        (
            lambda m: m.start(plan.Line(REALTIME, m_words(m))),
            "did not get the wanted line: kernel 6.12.57-amd64 missing",
        ),
    ],
)
def test_a_trial_that_shows_the_wrong_thing_goes_back(machine, spoil, why):
    machine.module("isolcpus=2-3")
    machine.boot()
    spoil(machine)
    _, decision = machine.module("isolcpus=2-3", waited=True)
    assert why in decision.failure
    assert decision.reboot
    assert machine.text(DROPIN) == ""
    assert machine.text(CONFIRMED) == ""
    machine.boot()
    assert machine.module("isolcpus=2-3")[1].failure.startswith("it failed before")


def m_words(machine) -> tuple[str, ...]:
    return tuple(machine.text("/proc/cmdline").split()[1:])


def test_the_marker_of_an_older_trial_does_not_speak_for_a_new_one(machine):
    machine.root.joinpath("var/lib/fleet/kernel").mkdir(parents=True)
    machine.root.joinpath(REACHED[1:]).write_text("0123")
    machine.module("isolcpus=2-3")
    assert machine.text(REACHED) == ""


def test_removal_gives_the_files_back(machine):
    before = machine.text(CONFIG)
    commit(machine, "isolcpus=2-3")
    _, decision = machine.module(release="")
    assert decision.reboot
    machine.boot()
    machine.module(release="", waited=True)
    assert machine.text(CONFIG) == before
    left = {
        path.name
        for path in machine.root.rglob("*")
        if path.is_file() and "fleet" in str(path.relative_to(machine.root))
    }
    assert left <= {"grub.cfg.fleet-previous"}
    assert machine.module(release="")[0].actions == []


def test_a_trial_falls_back_to_what_runs_and_not_to_a_kernel_that_never_has(machine):
    """GRUB's own default is the kernel that sorts first, here a realtime one that somebody has just installed."""
    words = machine.default().words
    machine.start(plan.Line(RELEASE, words))
    boot, _ = machine.module("init=/nowhere")
    assert boot.actions == ["keep", "stage", "arm"]
    assert machine.default() == plan.Line(RELEASE, words)
    machine.environment.clear()  # the trial panicked
    machine.boot()
    assert "did not reach user space" in machine.module("init=/nowhere", waited=True)[1].failure
    assert machine.default() == plan.Line(RELEASE, words)


def test_a_run_cut_off_after_any_write_is_repaired_by_the_next(machine, monkeypatch):
    """As the played machine of kernel_boot_plan_kit.py, here with the files themselves."""
    taken = Boot.take
    for cut in range(14):
        count = 0

        def cut_off(self, step, seen, cut=cut):
            nonlocal count
            taken(self, step, seen)
            count += 1
            if count == cut:
                raise BootError("power cut")

        monkeypatch.setattr(Boot, "take", cut_off)
        try:
            commit(machine, "isolcpus=2-3")
        except BootError:
            machine.boot()
        monkeypatch.setattr(Boot, "take", taken)
        for _ in range(2):
            _, decision = machine.module("isolcpus=2-3")
            if decision.reboot:
                machine.boot()
                _, decision = machine.module("isolcpus=2-3", waited=True)
        assert decision.action == "nothing", cut
        for _ in range(2):
            if machine.module(release="")[1].reboot:
                machine.boot()
        assert machine.text(DROPIN) == ""
