# SPDX-License-Identifier: Apache-2.0
"""What the module finds on a played host before a trial: what it leaves alone, brings up to date, and refuses."""

from __future__ import annotations

import pytest

from roles.kernel.module_utils import kernel_boot_plan as plan
from roles.kernel.module_utils.kernel_boot_host import (
    CONFIG,
    DROPIN,
    FAILED,
    RECORD,
    SCRIPT,
    BootError,
    run_command,
)
from tests.unit.roles.kernel.kernel_boot_kit import REALTIME, RELEASE, commit


def test_a_dry_run_writes_nothing(machine):
    before = {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}
    boot, _ = machine.module("isolcpus=2-3", check=True)
    assert boot.actions == ["stage"]
    assert boot.diffs[0]["after_header"] == SCRIPT
    assert {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()} == before
    assert machine.environment == {}


def test_a_stock_machine_is_not_touched(machine):
    (machine.root / "boot/grub/grub.cfg").write_text(machine.text(CONFIG).replace("splash", "nosplash"))
    machine.calls.clear()
    assert machine.module(release="")[1].action == "nothing"
    assert "grub-mkconfig" not in machine.calls


def test_a_grub_cfg_that_somebody_wrote_by_hand_is_generated_first(machine):
    text = "set timeout=1\nmenuentry 'Debian' {\n  linux /boot/vmlinuz-6.12.57-amd64 root=UUID=3f1c ro quiet\n}\n"
    (machine.root / CONFIG[1:]).write_text(text)
    boot, _ = machine.module("isolcpus=2-3")
    assert boot.actions == ["refresh", "stage", "arm"]


def test_a_stock_machine_needs_no_grub(machine):
    (machine.root / CONFIG[1:]).unlink()
    assert machine.module(release="")[1].action == "nothing"
    machine.start(plan.Line(RELEASE, plan.Line(RELEASE, ("ro",)).trial_words()))
    with pytest.raises(BootError, match="is GRUB what boots this host"):
        machine.module(release="")


def test_a_grub_cfg_older_than_its_settings_is_generated_first(machine):
    (machine.root / "etc/default/grub.d/50-cloud.cfg").write_text('GRUB_CMDLINE_LINUX="console=tty1 console=ttyS0"\n')
    boot, _ = machine.module("isolcpus=2-3")
    assert boot.actions == ["refresh", "stage", "arm"]
    machine.boot()
    assert "console=tty1 console=ttyS0 quiet isolcpus=2-3" in machine.text("/proc/cmdline")


@pytest.mark.parametrize("text", ["", '{"phase": "armed"', "[]", '{"phase": "armed", "line": 3}', "\0\0\0"])
def test_a_damaged_record_counts_as_none(machine, text):
    (machine.root / RECORD[1:]).parent.mkdir(parents=True)
    for name in (RECORD, FAILED):
        (machine.root / name[1:]).write_text(text)
    assert commit(machine, "isolcpus=2-3")[1].action == "nothing"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: (root / f"boot/vmlinuz-{RELEASE}").unlink(), "kernel 6.12.57-amd64 is not installed"),
        (lambda root: (root / CONFIG[1:]).write_text(""), "is GRUB what boots this host?"),
        (
            lambda root: (root / "etc/default/grub.d/99-x.cfg").write_text("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n"),
            "would not hold, 99-x.cfg in /etc/default/grub.d sets the same",
        ),
        (
            lambda root: (root / "etc/default/grub.d/40-x.cfg").write_text('GRUB_CMDLINE_LINUX="isolcpus=1"\n'),
            "sets isolcpus=1, which this role sets",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line_before_a_trial(machine, prepare, message):
    prepare(machine.root)
    with pytest.raises(BootError, match=message) as caught:
        machine.module("isolcpus=2-3")
    assert "\n" not in str(caught.value)
    assert machine.text(SCRIPT) == ""
    assert machine.text(DROPIN) == ""


def dkms(machine, release: str, *files: str) -> None:
    folder = machine.root / f"lib/modules/{release}/updates/dkms"
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).touch()


def test_a_kernel_without_the_modules_of_the_running_one_is_refused_before_its_trial(machine):
    machine.start(plan.Line(RELEASE, machine.default().words))
    dkms(machine, RELEASE, "sfc.ko.xz", "onload.ko.xz", "nvidia.ko.zst")
    dkms(machine, REALTIME, "nvidia.ko")
    with pytest.raises(BootError) as caught:
        machine.module("isolcpus=2-3", release=REALTIME)
    assert str(caught.value) == (
        f"kernel {REALTIME} lacks onload, sfc, which DKMS has built for the running {RELEASE}: install"
        f" linux-headers-{REALTIME}, then dkms autoinstall -k {REALTIME} (dkms status says more),"
        " or remove them from DKMS"
    )
    assert (machine.text(SCRIPT), machine.environment) == ("", {})
    dkms(machine, REALTIME, "sfc.ko", "onload.ko", "more.ko")
    assert machine.module("isolcpus=2-3", release=REALTIME)[1].action == "arm"


def test_a_new_line_of_the_running_kernel_needs_no_other_modules(machine):
    machine.start(plan.Line(RELEASE, machine.default().words))
    dkms(machine, RELEASE, "sfc.ko.xz")
    assert machine.module("isolcpus=2-3")[1].action == "arm"


def test_a_generator_that_makes_nothing_leaves_the_old_configuration(machine, monkeypatch):
    before = machine.text(CONFIG)
    monkeypatch.setattr(machine, "mkconfig", lambda target: target.write_text("\n"))
    with pytest.raises(BootError, match="the old one stays"):
        machine.module("isolcpus=2-3")
    assert machine.text(CONFIG) == before


def test_a_command_that_fails_says_what_and_why():
    with pytest.raises(BootError, match=r"`sh -c echo no >&2; exit 3` failed: no"):
        run_command(["sh", "-c", "echo no >&2; exit 3"])
    with pytest.raises(BootError, match="no-such-command"):
        run_command(["no-such-command"])
