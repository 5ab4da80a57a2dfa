# SPDX-License-Identifier: Apache-2.0
"""The module on a played host: real files and shell, a grub-mkconfig that writes what Debian's 10_linux writes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import kernel_boot_plan as plan
from plugins.module_utils import kernel_grub as grub
from plugins.module_utils.kernel_boot_host import (
    CONFIG,
    CONFIRMED,
    DROPIN,
    FAILED,
    REACHED,
    RECORD,
    SCRIPT,
    BootError,
    Host,
    read_failed,
    read_record,
    run_command,
    write_atomically,
)
from plugins.modules.kernel_boot import Boot, describe

RELEASE, REALTIME = "6.12.57-amd64", "6.12.57-rt-amd64"
UUID = "3f1c"
HEADER = """
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="%s"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
"""
ENTRY = """menuentry '%s' --class gnu-linux $menuentry_id_option '%s' {
\trecordfail
\tsavedefault
\tload_video
\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
\tsearch --no-floppy --fs-uuid --set=root 3f1c
\techo\t'Loading Linux ...'
\tlinux\t/boot/vmlinuz-%s root=UUID=3f1c ro %s
\tinitrd\t/boot/initrd.img-%s
}
"""


@dataclass
class Played:
    """A machine's folder, and the commands it has."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    failed: str = ""
    log: str = ""

    def host(self) -> Host:
        return Host(self.root, self.run)

    def run(self, words, seconds):
        name = words[0]
        self.calls.append(name)
        if name == "sh":
            return run_command(words, seconds)
        if name == "grub-mkconfig":
            self.mkconfig(Path(words[2]))
        elif name == "grub-editenv" and words[2] == "list":
            return "".join(f"{key}={value}\n" for key, value in self.environment.items())
        elif name == "grub-editenv":
            self.environment.pop(words[3], None)
        elif name == "grub-reboot":
            self.environment["next_entry"] = words[1]
        elif words[:2] == ["systemctl", "is-system-running"]:
            raise BootError("degraded")
        elif name == "systemctl":
            return self.failed
        return self.log

    def mkconfig(self, target: Path) -> None:
        now = self.host().settings(str(self.root / DROPIN[1:]))
        text = HEADER % now.default
        for index, release in enumerate((REALTIME, RELEASE)):
            # 10_linux passes the words on as they are, blanks doubled.
            words = "  ".join((*now.linux, *now.linux_default))
            if index == 0:
                text += ENTRY % ("Debian", f"gnulinux-simple-{UUID}", release, words, release)
                text += f"submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-{UUID}' {{\n"
            for kind, more in (("advanced", words), ("recovery", "single")):
                identity = f"gnulinux-{release}-{kind}-{UUID}"
                text += ENTRY % (f"Linux {release} ({kind})", identity, release, more, release)
        text += "}\n"
        script = self.root / SCRIPT[1:]
        if script.exists():
            text += subprocess.run([script], capture_output=True, text=True, check=True).stdout
        target.write_text(text)

    def boot(self) -> None:
        """Do what GRUB and the kernel do."""
        config = grub.parse((self.root / CONFIG[1:]).read_text())
        once = self.environment.pop("next_entry", "")
        line = grub.trial_line(config) if once else grub.resolve(config, self.environment)
        assert line is not None
        self.start(line)

    def start(self, line: plan.Line) -> None:
        proc = self.root / "proc"
        text = " ".join([f"BOOT_IMAGE=/boot/vmlinuz-{line.release}", *line.words])
        (proc / "cmdline").write_text(text + "\n")
        (proc / "sys/kernel/osrelease").write_text(line.release + "\n")
        boot_id = proc / "sys/kernel/random/boot_id"
        boot_id.write_text(f"{int(boot_id.read_text() or 0) + 1 if boot_id.exists() else 1}\n")
        isolated = [word.partition("=")[2] for word in line.words if word.startswith("isolcpus=")]
        (self.root / "sys/devices/system/cpu/isolated").write_text("".join(isolated) + "\n")
        (self.root / "sys/devices/system/cpu/nohz_full").write_text("(null)\n")
        (self.root / CONFIRMED[1:]).unlink(missing_ok=True)

    def module(self, *arguments, release=RELEASE, allowed=True, waited=False, check=False, hugepages=()):
        options = {
            "arguments": list(arguments),
            "release": release,
            "flavour": "generic" if release else "",
            "hugepages": list(hugepages),
            "reboot_allowed": allowed,
            "waited": waited,
        }
        boot = Boot(self.host(), options, check)
        return boot, boot.converge()

    def text(self, name: str) -> str:
        return self.host().text(name)

    def default(self) -> plan.Line | None:
        return grub.resolve(grub.parse(self.text(CONFIG)), self.environment)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sync", lambda: None)
    played = Played(tmp_path)
    for folder in ("etc/default/grub.d", "etc/grub.d", "boot/grub", "proc/sys/kernel/random", "sys/devices/system/cpu"):
        (tmp_path / folder).mkdir(parents=True)
    for release in (RELEASE, REALTIME):
        for name in ("vmlinuz", "initrd.img"):
            (tmp_path / f"boot/{name}-{release}").touch()
    (tmp_path / "etc/default/grub").write_text(
        'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash quiet"\n'
        'GRUB_CMDLINE_LINUX="console=ttyS0"\necho noise\n'
    )
    (tmp_path / "boot/grub/grubenv").touch()
    played.mkconfig(tmp_path / "boot/grub/grub.cfg")
    played.boot()
    return played


def test_stage_trial_commit_and_rest(machine):
    before = machine.text(CONFIG)
    _, decision = machine.module("isolcpus=2-3")
    assert decision.action == "arm"
    assert machine.text(DROPIN) == ""
    assert machine.environment == {"next_entry": "station-trial"}
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
    assert words[6].startswith("station.trial=")
    assert words[7:] == ["panic=30"]
    boot, decision = machine.module("isolcpus=2-3", waited=True)
    assert boot.actions == ["commit", "make_default"]
    assert machine.text(CONFIRMED)
    assert machine.default() == plan.Line(RELEASE, ("root=UUID=3f1c", "ro", "console=ttyS0", "quiet", "isolcpus=2-3"))
    assert not (machine.root / SCRIPT[1:]).exists()
    assert "station-trial" not in machine.text(CONFIG)
    boot, decision = machine.module("isolcpus=2-3")
    assert (boot.actions, decision.action) == ([], "nothing")
    machine.boot()
    boot, decision = machine.module("isolcpus=2-3")
    assert (boot.actions, decision.action) == ([], "nothing")
    assert "station.trial" not in machine.text("/proc/cmdline")


def commit(machine, *arguments, **options) -> Any:
    machine.module(*arguments, **options)
    machine.boot()
    return machine.module(*arguments, waited=True, **options)


def test_the_drop_in_pins_the_kernel_that_was_proven(machine):
    commit(machine, "isolcpus=2-3")
    assert f'GRUB_DEFAULT="gnulinux-advanced-{UUID}>gnulinux-{RELEASE}-advanced-{UUID}"' in machine.text(DROPIN)
    commit(machine, "isolcpus=2-3", release=REALTIME)
    assert machine.default() is not None
    assert machine.default().release == REALTIME
    record = read_record(machine.text(RECORD))
    assert record is not None
    assert record.previous == RELEASE


def test_the_script_is_what_grub_reads_and_changes_nothing_else(machine):
    machine.module("isolcpus=2-3")
    entry = next(entry for entry in grub.parse(machine.text(CONFIG)).entries if entry.ids == ("station-trial",))
    assert entry.body[0] == "load_video"
    assert not {"savedefault", "recordfail"} & set(entry.body)
    assert entry.body[-1] == f"initrd /boot/initrd.img-{RELEASE}" or entry.body[-1].startswith("initrd\t")


def test_a_dry_run_writes_nothing(machine):
    before = {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()}
    boot, _ = machine.module("isolcpus=2-3", check=True)
    assert boot.actions == ["stage"]
    assert boot.diffs[0]["after_header"] == SCRIPT
    assert {path: path.read_bytes() for path in machine.root.rglob("*") if path.is_file()} == before
    assert machine.environment == {}


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
    assert "rm /var/lib/station/kernel/failed.json" in describe(
        decision.failure, {"release": RELEASE, "arguments": ["init=/nowhere"]}
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
    machine.root.joinpath("var/lib/station/kernel").mkdir(parents=True)
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
        if path.is_file() and "station" in str(path.relative_to(machine.root))
    }
    assert left <= {"grub.cfg.station-previous"}
    assert machine.module(release="")[0].actions == []


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
    assert read_record(text) is None
    assert read_failed(text) is None
    write_atomically(machine.root / RECORD[1:], text)
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


def test_a_generator_that_makes_nothing_leaves_the_old_configuration(machine, monkeypatch):
    before = machine.text(CONFIG)
    monkeypatch.setattr(machine, "mkconfig", lambda target: target.write_text("\n"))
    with pytest.raises(BootError, match="the old one stays"):
        machine.module("isolcpus=2-3")
    assert machine.text(CONFIG) == before


def test_a_run_cut_off_after_any_write_is_repaired_by_the_next(machine, monkeypatch):
    """As the played machine of test_kernel_boot_plan.py, here with the files themselves."""
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


def test_a_command_that_fails_says_what_and_why():
    with pytest.raises(BootError, match=r"`sh -c echo no >&2; exit 3` failed: no"):
        run_command(["sh", "-c", "echo no >&2; exit 3"])
    with pytest.raises(BootError, match="no-such-command"):
        run_command(["no-such-command"])
