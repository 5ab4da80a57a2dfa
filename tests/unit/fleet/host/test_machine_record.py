# SPDX-License-Identifier: Apache-2.0
"""Records that count on one machine only."""

import os
from pathlib import Path

import pytest

from fleet.host.machine_record import Records, identity, set_aside

MOUNTS = "22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n23 22 0:5 / /dev rw - devtmpfs udev rw\n"


def computer(root: Path) -> Path:
    """Return the root folder of a played machine."""
    for name, text in (
        ("etc/machine-id", "b08d\n"),
        ("sys/class/dmi/id/product_uuid", "4C4C4544\n"),
        ("sys/class/dmi/id/board_serial", "S1\n"),
        ("proc/self/mountinfo", MOUNTS),
        ("dev/sda2", ""),
        ("dev/sdb1", ""),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "dev/disk/by-uuid").mkdir(parents=True)
    (root / "dev/disk/by-uuid/1111-root").symlink_to("../../sda2")
    (root / "dev/disk/by-uuid/0000-other").symlink_to("../../sdb1")
    return root


def test_a_machine_keeps_its_name(tmp_path):
    machine = computer(tmp_path)
    assert identity(machine) == identity(machine)
    assert len(identity(machine)) == 16


@pytest.mark.parametrize("name", ["etc/machine-id", "sys/class/dmi/id/product_uuid", "sys/class/dmi/id/board_serial"])
def test_a_cloned_disk_in_another_board_and_a_restored_etc_in_another_installation_are_other_machines(tmp_path, name):
    machine = computer(tmp_path)
    before = identity(machine)
    (machine / name).write_text("another\n")
    assert identity(machine) != before
    (machine / name).unlink()
    assert identity(machine) != before


def test_files_restored_on_a_new_file_system_are_on_another_machine(tmp_path):
    machine = computer(tmp_path)
    before = identity(machine)
    (machine / "dev/disk/by-uuid/1111-root").rename(machine / "dev/disk/by-uuid/2222-root")
    assert identity(machine) != before


def test_a_disk_beside_the_root_does_not_make_another_machine(tmp_path):
    machine = computer(tmp_path)
    before = identity(machine)
    (machine / "dev/disk/by-uuid/0000-other").unlink()
    assert identity(machine) == before


def test_a_root_that_the_kernel_calls_by_no_device_name_is_found_by_its_numbers(tmp_path):
    machine = computer(tmp_path)
    numbers = f"{os.major((tmp_path / 'dev/sda2').stat().st_rdev)}:{os.minor((tmp_path / 'dev/sda2').stat().st_rdev)}"
    (machine / "dev/disk/by-uuid/0000-other").unlink()
    (machine / "proc/self/mountinfo").write_text(MOUNTS.replace("8:2", numbers).replace("/dev/sda2", "/dev/root"))
    before = identity(machine)
    (machine / "dev/disk/by-uuid/1111-root").rename(machine / "dev/disk/by-uuid/2222-root")
    assert identity(machine) != before


def test_a_container_that_has_no_board_and_no_disk_has_a_name_too(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("b08d\n")
    assert len(identity(tmp_path)) == 16


def test_a_record_is_read_on_its_machine_and_foreign_on_any_other(tmp_path):
    here, there = Records(tmp_path / "records", "here"), Records(tmp_path / "records", "there")
    here.write("x", {"word": 1})
    assert (here.read("x").data, here.read("x").foreign) == ({"word": 1}, False)
    assert (there.read("x").data, there.read("x").foreign) == (None, True)


@pytest.mark.parametrize("text", ["", '{"word": ', "[]", "7", "null"])
def test_a_damaged_or_absent_record_is_none_and_nobody_elses(tmp_path, text):
    records = Records(tmp_path, "here")
    (tmp_path / "x").write_text(text)
    for name in ("x", "absent"):
        assert (records.read(name).data, records.read(name).foreign) == (None, False)


def test_a_record_from_before_machines_had_names_is_foreign(tmp_path):
    (tmp_path / "x").write_text('{"word": 1}')
    assert Records(tmp_path, "here").read("x").foreign


def test_root_alone_reads_a_record_and_a_forgotten_one_is_gone(tmp_path):
    records = Records(tmp_path / "records", "here")
    records.write("x", {})
    assert (tmp_path / "records/x").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "records").stat().st_mode & 0o777 == 0o700
    records.remove("x")
    assert records.read("x").data is None


def test_what_is_set_aside_replaces_what_was_set_aside_before(tmp_path):
    for text in ("one", "two"):
        (tmp_path / "state").mkdir()
        (tmp_path / "state/x").write_text(text)
        set_aside(tmp_path / "state")
    assert (tmp_path / "state.of-another-machine/x").read_text() == "two"
    assert not (tmp_path / "state").exists()
