# SPDX-License-Identifier: Apache-2.0
"""What the reader of the firmware's settings takes from a host, on written trees."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
            "hybrid": True,
            "flags": ["hwp", "ida"],
            "microcode": "0x10",
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
        "microcode": [0x43B],
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
    assert facts["microcode"] == []


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
    assert samples.MEMORY in facts["denied"]
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


def test_memory_is_the_populated_slots_with_what_is_said_of_them_in_the_order_of_the_board():
    slots = [("A1", 3200, 2666), ("A2", 0, 0), *((f"B{number}", 5600, 0) for number in range(2, 12))]
    found = ff.memory_devices(samples.memory(*slots))
    assert found[0] == {"slot": "A1", "rated_mts": 3200, "configured_mts": 2666}
    assert [one["slot"] for one in found] == ["A1", *(f"B{number}" for number in range(2, 12))]
    assert ff.memory_devices("E:MEMORY_DEVICE_0_SIZE=1") == [{"slot": "", "rated_mts": 0, "configured_mts": 0}]


def test_the_facts_can_be_sent(tmp_path):
    assert json.loads(json.dumps(gather(tmp_path, samples.CORE_285K)))["smt"] == "notsupported"
