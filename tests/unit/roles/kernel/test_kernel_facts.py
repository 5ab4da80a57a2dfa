# SPDX-License-Identifier: Apache-2.0
"""Facts from a played sysfs, as a hybrid machine with one sibling offline shows it."""

import pytest

from fleet.host.machine_record import identity, sealed
from roles.kernel.library import kernel_facts
from roles.kernel.library.kernel_facts import Machine, run_command

FILES = {
    "sys/devices/cpu_core/cpus": "0-2",
    "sys/devices/cpu_atom/cpus": "4",
    "sys/devices/system/cpu/present": "0-4",
    "sys/devices/system/cpu/possible": "0-4",
    "sys/devices/system/cpu/online": "0-2,4",
    "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-1",
    "sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "2",
    "sys/devices/system/cpu/cpu3/online": "0",
    "sys/devices/system/cpu/cpu4/cache/index2/shared_cpu_list": "4-7",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_driver": "intel_pstate",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_available_governors": "performance powersave",
    "sys/devices/system/node/node0/cpulist": "0-2,4",
    "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       4000 kB\nNode 0 MemFree: 1 kB",
    "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "0",
    "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "0",
    "proc/meminfo": "MemTotal:        4096 kB\nMemFree: 1 kB",
    "proc/cpuinfo": "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 154\nmodel name\t: i9\nflags\t\t: fpu pse",
    "proc/sys/kernel/osrelease": "6.12-amd64",
    "proc/cmdline": "BOOT_IMAGE=/x quiet",
    "boot/vmlinuz-6.12-amd64": "",
    "usr/src/onload-9.0/dkms.conf": "",
    "var/lib/dkms/dkms_dbversion": "3.0.0",
    "var/lib/dkms/gone/mok.log": "",
}
POLICY = "intel-microcode:\n  Installed: (none)\n  Candidate: 3.20\n  Version table:\n"
ANSWERS = {
    "dpkg-query": "install linux-image-amd64\nhold linux-image-6.12-amd64\n",
    "apt-cache": POLICY,
    "systemctl": "tuned.service enabled enabled\n",
}


@pytest.fixture
def machine(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    module = tmp_path / "var/lib/dkms/onload/9.0"
    module.mkdir(parents=True)
    (module / "source").symlink_to(tmp_path / "usr/src/onload-9.0")
    return Machine(tmp_path, lambda words: ANSWERS.get(words[0], "ext2\n" if "--target=fs" in words else "\n"))


def test_everything_is_read(machine):
    assert machine.facts(microcode=True) | {"grub": None} == {
        "cpu": {
            "core": "0-2",
            "atom": "4",
            "present": "0-4",
            "possible": "0-4",
            "online": "0-2,4",
            "siblings": {"0": "0-1", "2": "2"},
            "caches": {"4": "4-7"},
            "hybrid": True,
            "vendor": "GenuineIntel",
            "model": "i9",
            "guest": False,
        },
        "nodes": {"0": {"cpus": "0-2,4", "memory_kib": 4000}},
        "memory_kib": 4096,
        "hugepage_kib": [2048, 1048576],
        "cpufreq": {
            "driver": "intel_pstate",
            "governors": ["performance", "powersave"],
            "preferences": [],
            "owners": ["tuned.service"],
        },
        "release": "6.12-amd64",
        "cmdline": ["BOOT_IMAGE=/x", "quiet"],
        "kernels": ["6.12-amd64"],
        "dkms": ["onload"],
        "held": ["linux-image-6.12-amd64"],
        "held_here": [],
        "machine": identity(machine.root),
        "modules_extra": sorted(POLICY.split()),
        "microcode": {"package": "intel-microcode", "installed": "", "candidate": "3.20"},
        "grub": None,
    }


def test_what_the_role_holds_is_what_it_has_put_on_hold_on_this_machine(machine):
    record = machine.root / kernel_facts.HELD[1:]
    record.parent.mkdir(parents=True)
    for owner, held in ((identity(machine.root), ["linux-image-6.12-amd64"]), ("another", [])):
        record.write_text(sealed({"packages": ["linux-image-6.12-amd64"]}, owner))
        assert machine.facts(microcode=False)["held_here"] == held


def test_grub_is_probed_only_where_it_is_whole(machine, monkeypatch):
    monkeypatch.setattr(kernel_facts, "COMMANDS", ("sh",))
    assert machine.grub() == {"missing": ["/boot/grub/grub.cfg"], "abstraction": "", "fs": ""}
    (machine.root / "boot/grub").mkdir()
    (machine.root / "boot/grub/grub.cfg").write_text("x")
    assert machine.grub() == {"missing": [], "abstraction": "", "fs": "ext2"}
    monkeypatch.setattr(kernel_facts, "COMMANDS", ("no-such-command",))
    assert machine.grub()["missing"] == ["no-such-command"]


def test_a_guest_is_told_and_asks_for_no_microcode(machine):
    (machine.root / "proc/cpuinfo").write_text("vendor_id\t: AuthenticAMD\nflags\t\t: fpu hypervisor\n")
    found = machine.facts(microcode=True)
    assert found["cpu"]["guest"]
    assert found["microcode"]["package"] == ""


def test_an_empty_machine_has_empty_facts(tmp_path):
    found = Machine(tmp_path, lambda _: "").facts(microcode=True)
    assert found["cpu"]["present"] == ""
    assert found["memory_kib"] == 0
    assert found["cpufreq"]["driver"] == ""
    assert (found["dkms"], found["held"], found["held_here"]) == ([], [], [])


def test_a_command_that_fails_or_is_not_there_says_nothing():
    assert run_command(["sh", "-c", "echo some; exit 1"]) == ""
    assert run_command(["no-such-command"]) == ""
    assert run_command(["echo", "some"]) == "some\n"
