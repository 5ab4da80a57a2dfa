# SPDX-License-Identifier: Apache-2.0
"""What belongs to the machine gets its new names, on a folder that plays a host of before."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from fleet.host.host_command import Done
from fleet.host.machine_record import Records, identity
from roles.base.library import fleet_migrated as fm

TEXTFILES = "/var/lib/prometheus/node-exporter"
UNIT = "/etc/systemd/system"
BOOT, PROVED = "b2", "b1"
STATE = {"phase": "proven", "boot_id": PROVED, "line": {"release": "6.12", "words": ["ro"]}}
FILES = {
    "/etc/machine-id": "b08d",
    "/proc/sys/kernel/random/boot_id": BOOT,
    # The machine's.
    "/etc/ssh/sshd_config.d/10-station.conf": "PasswordAuthentication no\n",
    "/etc/sysctl.d/99-zz-station.conf": "vm.swappiness = 1\n",
    "/etc/default/grub.d/60-station.cfg": 'GRUB_CMDLINE_LINUX_DEFAULT="isolcpus=2-3"\n',
    "/boot/grub/grub.cfg.station-previous": "old",
    "/etc/systemd/network/05-station-station-0.link": "[Match]\n",
    f"{UNIT}/redis-server@bus.service.d/10-station.conf": "[Service]\n",
    "/var/lib/station/onload/0123/onload.deb": "deb",
    "/var/lib/station-latency/1.json": "{}",
    "/run/station/kernel-before.json": '{"governor": "powersave"}',
    "/run/station-nic/filters.json": "[]",
    f"{UNIT}/station-irq.service": "[Service]\n",
    f"{UNIT}/station-irq-again.timer": "[Timer]\n",
    f"{UNIT}/station-kernel.service": "[Service]\n",
    f"{UNIT}/sysinit.target.d/50-station-boot-guard.conf": "[Unit]\n",
    "/etc/station/kernel.json": "{}",
    "/usr/local/libexec/station/boot-guard": "#!/bin/sh\n",
    "/usr/local/src/station/xdp-smoke/Makefile": "all:\n",
    f"{TEXTFILES}/station_kernel.prom": "station_reboot_pending 0\n",
    "/var/lib/station/file_sets/apt": "0f0f",
    "/var/lib/station/units/redis-server@bus.service.json": json.dumps(
        {
            "inputs": {f"{UNIT}/redis-server@bus.service.d/10-station.conf": "1", "/etc/redis/bus.conf": "2"},
            "reload_inputs": {},
            "invocation": "i",
        }
    ),
    "/var/lib/station/units/station-irq.service.json": json.dumps(
        {"inputs": {}, "reload_inputs": {}, "invocation": ""}
    ),
    "/var/lib/station/units/damaged.service.json": '{"inputs": ',
    "/var/lib/station/kernel/state.json": json.dumps(STATE),
    "/var/lib/station/kernel/failed.json": '{"line": {"release": "6.12", "words": ["init=/no"]}, "reason": "panic"}',
    "/var/lib/station/kernel/held": "linux-image-6.12\n",
    "/var/lib/station/kernel/reached": "abc\n",
    # The trading services'.
    "/etc/station/journal.keys": "key",
    f"{UNIT}/station@.service": "[Service]\n",
    f"{UNIT}/station.target": "[Unit]\n",
    f"{UNIT}/station-anchor.socket": "[Socket]\n",
    "/opt/station/confirmed": "r f",
    "/usr/local/libexec/station/anchor.py": "#!/usr/bin/python3\n",
    "/var/lib/station/journal/000000000001.segment": "\x00",
    "/var/lib/station/momentum/producer": "7",
    "/var/lib/station/halt/latch": "denied",
    "/var/lib/station-oversight/checkpoints/x": "note",
    f"{TEXTFILES}/questdb.prom": "questdb 1\n",
}
TRADING = [name for name in FILES if re.search("journal|station@|target$|anchor|/opt|momentum|halt|over|questdb", name)]


class Played:
    """A folder that plays the host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.words: list[str] = []
        self.boots = {PROVED}
        for name, text in FILES.items():
            self.write(name, text)
        for link, target in ((f"{UNIT}/multi-user.target.wants/station-irq.service", f"{UNIT}/station-irq.service"),):
            self.path(link).parent.mkdir(parents=True)
            self.path(link).symlink_to(self.path(target))

    def path(self, name: str) -> Path:
        return self.root / name[1:]

    def write(self, name: str, text: str) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def run(self, words) -> Done:
        self.words.append(" ".join(words))
        if words[0] == "journalctl":
            return Done(0 if words[-1].removeprefix("--boot=") in self.boots else 1)
        if words[1] == "daemon-reload":
            assert not self.path(f"{UNIT}/station-kernel.service").exists(), "its ExecStop would run"
        return Done(0, "station-kernel.service loaded active exited x\n" if words[1] == "list-units" else "")

    def migrate(self, check: bool = False) -> dict[str, Any]:
        return fm.migrate(fm.Host(self.root, self.run), TEXTFILES, check)

    def files(self) -> dict[str, str]:
        return {
            f"/{path.relative_to(self.root)}": path.read_text()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }


@pytest.fixture
def host(tmp_path: Path) -> Played:
    return Played(tmp_path)


def test_nothing_of_the_machine_is_left_under_its_older_names(host):
    assert host.migrate()["changed"]
    left = [name for name in host.files() if "station" in name and name not in TRADING]
    assert left == ["/etc/systemd/network/05-fleet-station-0.link"]
    assert not list(host.root.glob("etc/systemd/system/*.wants/*"))
    assert not list(host.root.glob("run/station*"))


def test_what_the_trading_services_keep_is_not_touched(host):
    before = {name: (FILES[name], host.path(name).stat().st_mtime_ns) for name in TRADING}
    host.migrate()
    assert {name: (host.path(name).read_text(), host.path(name).stat().st_mtime_ns) for name in TRADING} == before


def test_settings_keep_their_text_under_their_new_names(host):
    host.migrate()
    for name in (
        "/etc/ssh/sshd_config.d/10-station.conf",
        "/etc/sysctl.d/99-zz-station.conf",
        "/etc/default/grub.d/60-station.cfg",
        "/boot/grub/grub.cfg.station-previous",
        "/var/lib/station/onload/0123/onload.deb",
        "/run/station/kernel-before.json",
        "/run/station-nic/filters.json",
    ):
        assert host.path(name.replace("station", "fleet")).read_text() == FILES[name]


def test_records_are_this_machines_and_name_files_as_they_are_called_now(host):
    host.migrate()
    machine = identity(host.root)
    units = Records(host.path("/var/lib/fleet/units"), machine)
    assert units.read("redis-server@bus.service.json").data == {
        "inputs": {f"{UNIT}/redis-server@bus.service.d/10-fleet.conf": "1", "/etc/redis/bus.conf": "2"},
        "reload_inputs": {},
        "invocation": "i",
    }
    assert sorted(path.name for path in units.folder.iterdir()) == ["redis-server@bus.service.json"]
    assert Records(host.path("/var/lib/fleet/file_sets"), machine).read("apt").data == {"fingerprint": "0f0f"}
    kernel = Records(host.path("/var/lib/fleet/kernel"), machine)
    assert kernel.read("state.json").data == STATE
    assert kernel.read("failed.json").data == json.loads(FILES["/var/lib/station/kernel/failed.json"])
    assert kernel.read("held").data == {"packages": ["linux-image-6.12"]}


def test_a_proof_of_a_boot_that_this_machines_journal_does_not_know_stays_nobodys(host):
    host.boots.clear()
    host.migrate()
    assert Records(host.path("/var/lib/fleet/kernel"), identity(host.root)).read("state.json").foreign


def test_units_go_without_what_they_do_when_they_stop(host):
    host.migrate()
    stop = host.words.index("systemctl stop -- station-kernel.service")
    assert host.words.index("systemctl daemon-reload") < stop


def test_a_second_run_looks_at_nothing(host):
    host.migrate()
    host.words.clear()
    assert host.migrate() == {"changed": False, "renamed": [], "removed": []}
    assert host.words == []


def test_a_dry_run_says_everything_and_changes_nothing(host):
    before = host.files()
    result = host.migrate(check=True)
    assert result["changed"]
    assert "/etc/ssh/sshd_config.d/10-fleet.conf" in result["renamed"]
    assert "/usr/local/libexec/station/boot-guard" in result["removed"]
    assert host.files() == before
    assert host.words == []


def test_a_host_on_which_nothing_trades_loses_the_folders_of_the_trading_services_too(host):
    for name in TRADING:
        host.path(name).unlink()
    for name in ("journal", "momentum", "halt"):
        host.path(f"/var/lib/station/{name}").rmdir()
    assert {"/etc/station", "/var/lib/station"} <= set(host.migrate()["removed"])
    assert not host.path("/etc/station").exists()
    assert not host.path("/var/lib/station").exists()


@pytest.mark.parametrize("phase", ["staged", "armed"])
def test_a_line_on_trial_is_finished_first(host, phase):
    host.write("/var/lib/station/kernel/state.json", json.dumps(STATE | {"phase": phase}))
    before = host.files()
    for check in (True, False):
        with pytest.raises(fm.MigrationError, match=f"a kernel line is {phase} for its trial: let the release that"):
            host.migrate(check)
    assert host.files() == before


def test_a_trial_whose_record_is_lost_is_finished_first(host):
    host.path("/var/lib/station/kernel/state.json").unlink()
    host.write("/etc/grub.d/42_station_trial", "#!/bin/sh\n")
    with pytest.raises(fm.MigrationError, match="a kernel line is staged for its trial"):
        host.migrate()


def test_an_ssh_change_that_waits_is_finished_first(host):
    host.write("/var/lib/station/ssh-rollback/armed", "")
    with pytest.raises(fm.MigrationError, match="wait until the host has taken it back"):
        host.migrate()


def test_a_run_cut_off_after_any_change_is_finished_by_the_next_and_sshd_is_never_without_its_file(host, monkeypatch):
    whole = Played(host.root.with_name("whole"))
    whole.migrate()
    aim, cuts = whole.files(), 0
    for place in range(1, 60):
        cut = Played(host.root.with_name(f"cut{place}"))
        with monkeypatch.context() as patch:
            done = cut_after(patch, place)
            try:
                cut.migrate()
            except KeyboardInterrupt:
                cuts += 1
        assert len(list(cut.root.glob("etc/ssh/sshd_config.d/10-*.conf"))) == 1
        assert len(list(cut.root.glob("etc/default/grub.d/60-*.cfg"))) == 1
        cut.migrate()
        assert cut.files() == aim, f"cut off before change {place}"
        if done[0] < place:
            break
    assert cuts > 30


def cut_after(patch, place: int) -> list[int]:
    """End the run at its change number `place`; returns the count of changes."""
    count = [0]

    def counted(inner) -> Any:
        def change(*arguments, **options):
            count[0] += 1
            if count[0] >= place:
                raise KeyboardInterrupt
            return inner(*arguments, **options)

        return change

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
        patch.setattr(owner, name, counted(getattr(owner, name)))
    return count
