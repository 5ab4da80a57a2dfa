# SPDX-License-Identifier: Apache-2.0
"""What the reader of the firmware's settings takes from a host, on written trees."""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.firmware_check.library import firmware_facts as ff
from tests.unit.roles.firmware_check import firmware_samples as samples


def gather(root: Path, sample: Mapping[str, samples.Content], slots: Sequence[str] = ()) -> dict[str, Any]:
    return ff.gather(samples.write(root, sample), slots)


def test_a_hybrid_machine_is_read_whole(tmp_path):
    facts = gather(tmp_path, samples.I9_12900H)
    assert {key: facts[key] for key in facts if key not in {"board", "pci", "memory"}} == {
        "container": False,
        "cpu": {
            "vendor": "GenuineIntel",
            "model": "12th Gen Intel(R) Core(TM) i9-12900H",
            "flags": ["hwp", "ida"],
            "microcode": "0x10",
            "family": 6,
            "model_number": 154,
            "stepping": 3,
        },
        "arguments": [],
        "smt": "on",
        "counters": {"cpu": False, "cpu_core": True, "cpu_atom": True},
        "efficiency_cpus": "12-19",
        "idle_driver": "intel_idle",
        "idle_states": ["POLL", "C1E", "C6", "C8", "C10"],
        "no_turbo": "0",
        "boost": None,
        "cppc": False,
        "aspm_policy": "[default] performance powersave powersupersave",
        "iommus": ["dmar0", "dmar1"],
        "acpi_tables": ["DMAR"],
        "uefi": True,
        "efi_variables": True,
        "secure_boot": 0,
        "microcode": {"loaded": [0x43B], "packaged": 0x43C},
        "denied": [],
    }
    assert facts["board"]["board_name"] == "AHWSA"
    assert facts["board"]["sys_vendor"] is None


def test_gpus_network_cards_and_nvme_disks_are_read_and_others_where_they_are_named(tmp_path):
    assert list(gather(tmp_path, samples.I9_12900H)["pci"]) == ["0000:00:02.0", "0000:02:00.0", "0000:58:00.0"]
    facts = gather(tmp_path, {}, ["0000:00:06.0", "0000:99:00.0"])
    assert list(facts["pci"]) == ["0000:00:02.0", "0000:00:06.0", "0000:02:00.0", "0000:58:00.0"]
    assert facts["pci"]["0000:02:00.0"] == {
        "class": samples.NIC,
        "bars": [],
        "current_link_width": "4",
        "max_link_width": "8",
        "current_link_speed": "8.0 GT/s PCIe",
        "max_link_speed": "8.0 GT/s PCIe",
        "power_states": {"l0s_aspm": "0", "l1_aspm": "1"},
    }


def test_only_memory_bars_count():
    rows = [
        "0x0000000084000000 0x0000000087ffffff 0x0000000000040200",
        "0x0000008000000000 0x0000009fffffffff 0x000000000014220c",
        "0x0000000000000000 0x0000000000000000 0x0000000000000000",
        "0x000000000000e000 0x000000000000e07f 0x0000000000040101",  # I/O ports
        "0x0000000000000000 0x0000000000000000 0x0000000000000000",
        "0x0000000000000000 0x0000000000000000 0x0000000000000000",
        "0x00000000c0000000 0x00000000ffffffff 0x0000000000046200",  # the ROM
    ]
    assert ff.bars("\n".join(rows)) == [[0x84000000, 0x87FFFFFF], [0x8000000000, 0x9FFFFFFFFF]]


def test_an_empty_host_gives_nothing_and_no_error(tmp_path):
    facts = ff.gather(tmp_path, [])
    assert facts["smt"] is facts["memory"] is facts["secure_boot"] is facts["acpi_tables"] is None
    assert facts["pci"] == {}
    assert facts["microcode"] == {"loaded": [], "packaged": None}


def test_a_container_is_known_by_each_of_its_marks(tmp_path):
    for index, mark in enumerate(("/run/systemd/container", "/.dockerenv", "/run/.containerenv")):
        assert gather(tmp_path / str(index), {mark: "docker"})["container"] is True


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(_self):
        raise PermissionError

    samples.write(tmp_path, samples.I9_12900H)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    facts = ff.gather(tmp_path, [])
    assert facts["memory"] is None
    assert "/sys/firmware/dmi/tables/DMI" in facts["denied"]
    assert samples.EFI in facts["denied"]


def test_reading_changes_no_file(tmp_path):
    def state() -> dict[Path, tuple[int, str]]:
        return {
            path: (path.lstat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
            for path in sorted(tmp_path.rglob("*"))
        }

    samples.write(tmp_path, samples.CORE_285K)
    before = state()
    ff.gather(tmp_path, ["0000:01:00.0"])
    assert state() == before


def test_only_arguments_that_hide_the_firmware_leave_the_host(tmp_path):
    line = "root=UUID=1 password=x nosmt=force idle=poll intel_idle.max_cstate=1 pcie_aspm.policy=performance nosmtx"
    assert gather(tmp_path, {"/proc/cmdline": line})["arguments"] == [
        "nosmt=force",
        "idle=poll",
        "intel_idle.max_cstate=1",
        "pcie_aspm.policy=performance",
    ]


def test_a_memory_table_gives_size_and_speeds_of_the_populated_slots():
    table = samples.dmi(
        samples.module("B1", 131072, 70000, 65999),
        samples.module("A1", 8192, 3200, 2666),
        samples.module("A2", 0, 0, 0),
    )
    assert ff.memory_devices(table) == [
        {"slot": "A1", "size_mib": 8192, "rated_mts": 3200, "configured_mts": 2666},
        {"slot": "B1", "size_mib": 131072, "rated_mts": 70000, "configured_mts": 65999},
    ]


def test_an_old_short_structure_does_not_say_the_configured_speed():
    (device,) = ff.memory_devices(samples.dmi(samples.module("A1", 2048, 667, 0, length=0x1B)))
    assert device == {"slot": "A1", "size_mib": 2048, "rated_mts": 667, "configured_mts": 0}


def test_a_size_in_kib_and_an_unknown_size():
    in_kib, unknown = bytearray(samples.module("A", 1, 1, 1)), bytearray(samples.module("B", 1, 1, 1))
    struct.pack_into("<H", in_kib, 0x0C, 0x8000 | 2048)
    struct.pack_into("<H", unknown, 0x0C, 0xFFFF)
    sizes = [one["size_mib"] for one in ff.memory_devices(samples.dmi(bytes(in_kib), bytes(unknown)))]
    assert sizes == [2, 0]


@given(st.binary(max_size=300))
def test_no_table_is_too_broken_to_read(table):
    assert isinstance(ff.memory_devices(table), list)


@given(st.integers(0, 200))
def test_a_table_that_is_cut_off_gives_the_modules_before_the_cut(length):
    table = samples.dmi(samples.module("A", 1024, 5600, 4800), samples.module("B", 1024, 5600, 4800))
    whole = ff.memory_devices(table)
    part = ff.memory_devices(table[:length])
    assert part == whole[: len(part)]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((6, 154, 3), 0x906A3), ((6, 198, 2), 0xC0662), ((25, 33, 2), 0xA20F12), ((6, 15, 11), 0x6FB)],
)
def test_a_signature_is_that_of_cpuid(numbers, expected):
    assert ff.signature(*numbers) == expected


def test_the_packaged_revision_is_the_newest_for_signature_and_platform():
    file = (
        samples.update(0x906A3, 0x80, 0x41) + samples.update(0x906A3, 0x80, 0x43) + samples.update(0x906A3, 0x1, 0x99)
    )
    assert ff.packaged_revision(file, 0x906A3, 0x80) == 0x43
    assert ff.packaged_revision(file, 0x906A3, 0) == 0x99
    assert ff.packaged_revision(file, 0x906A4, 0x80) is None


def test_the_packaged_revision_may_stand_in_the_table_of_further_signatures():
    file = samples.update(0x90672, 0x7, 0x37, more=((0x90675, 0x7), (0x906A3, 0x80))) + samples.update(0x1, 0x1, 0x1)
    assert ff.packaged_revision(file, 0x906A3, 0x80) == 0x37
    assert ff.packaged_revision(file, 0x906A3, 0x7) is None
    assert ff.packaged_revision(file, 0x1, 0x1) == 1


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_no_update_file_is_too_broken_to_read(file, sign):
    assert ff.packaged_revision(file, sign, 0) is None or len(file) >= 48


def test_the_facts_can_be_sent(tmp_path):
    assert json.loads(json.dumps(gather(tmp_path, samples.CORE_285K)))["smt"] == "notsupported"
