# SPDX-License-Identifier: Apache-2.0
"""The judgement of the firmware's settings: right, wrong with a menu, unknown with a reason."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.firmware_check.filter_plugins import firmware_report as fr
from roles.firmware_check.library import firmware_facts as ff
from tests.unit.roles.firmware_check import firmware_samples as samples

BASE = {"i9_12900h": samples.I9_12900H, "core_285k": samples.CORE_285K, "ryzen_5600": samples.RYZEN_5600}


@pytest.fixture
def report(tmp_path):
    """Return a function that judges a sample and returns the whole report."""

    def run(sample, wanted, change=None, hardware=None, menu_paths=None):
        tree = (BASE[sample] if isinstance(sample, str) else sample) | (change or {})
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        facts = ff.gather(samples.write(root, {path: text for path, text in tree.items() if text is not None}), [])
        machine = hardware or (samples.HARDWARE[sample] if isinstance(sample, str) else {})
        return fr.firmware_report(facts, wanted, machine, menu_paths or {}, "ms01")

    return run


@pytest.fixture
def row(report):
    """Return a function that judges one item and returns its line."""

    def run(sample, item, wanted, change=None, hardware=None):
        rows = report(sample, {item: wanted}, change, hardware)["items"]
        return next(one for one in rows if one["wanted"])

    return run


SMT = "/sys/devices/system/cpu/smt/control"
TURBO = "/sys/devices/system/cpu/intel_pstate/no_turbo"
CMDLINE = "/proc/cmdline"
POLICY = "/sys/module/pcie_aspm/parameters/policy"
FLAGS = "/proc/cpuinfo"
OTHER_CPU = {FLAGS: samples.cpuinfo("CentaurHauls", "a third maker's", (7, 1, 1), "hwp")}
LOW_GPU = samples.pci("0000:02:00.0", samples.GPU, (8, 32.0), (16, 32.0), ((0x88000000, 256 * 2**20),))
GPU_LOW = samples.pci("0000:00:02.0", samples.GPU, (0, 0), (0, 0), ((0xE0000000, 256 * 2**20),))
NO_LINK = samples.pci("0000:04:00.0", samples.NIC, (63, 0), (255, 0))

MIXED = {samples.MEMORY: samples.memory(("A", 5600, 5600), ("B", 5600, 4800))}
TWO_REVISIONS = {"/sys/devices/system/cpu/cpu1/microcode/version": "0x43a"}

CASES = [
    # sample, item, wanted, verdict, part of what was found, change of the sample
    ("i9_12900h", "smt", "on", "right", "on", {}),
    ("core_285k", "smt", True, "wrong", "off, or the processor has none", {}),
    ("core_285k", "smt", False, "right", "off", {}),
    ("ryzen_5600", "smt", True, "wrong", "off by the operating system (forceoff)", {}),
    ("i9_12900h", "smt", True, "unknown", "does not say", {SMT: None}),
    ("i9_12900h", "smt", True, "unknown", "does not say", {SMT: "notimplemented"}),
    ("i9_12900h", "efficiency_cores", True, "right", "CPUs 12-19", {}),
    ("ryzen_5600", "efficiency_cores", True, "wrong", "off, or", {}),
    ("i9_12900h", "efficiency_cores", False, "wrong", "on: CPUs 12-19", {}),
    (
        "core_285k",
        "efficiency_cores",
        True,
        "unknown",
        "too old",
        {"/sys/devices/cpu_core/cpus": None, "/sys/devices/cpu_atom/cpus": None, "/sys/devices/cpu/type": "4"},
    ),
    ("ryzen_5600", "efficiency_cores", True, "unknown", "no performance counters", {"/sys/devices/cpu/type": None}),
    ("i9_12900h", "deep_c_states", True, "right", "intel_idle has POLL C1E C6 C8 C10; a limit", {}),
    ("i9_12900h", "deep_c_states", False, "wrong", "on: intel_idle", {}),
    ("ryzen_5600", "deep_c_states", True, "wrong", "off: acpi_idle has POLL C1", {CMDLINE: "quiet"}),
    ("ryzen_5600", "deep_c_states", True, "unknown", "idle=nomwait processor.max_cstate=1 hides them", {}),
    ("ryzen_5600", "deep_c_states", True, "right", "on: acpi_idle", samples.idle("acpi_idle", "POLL", "C1", "C2")),
    ("i9_12900h", "deep_c_states", True, "unknown", "without an idle driver", samples.idle("none")),
    ("i9_12900h", "speed_shift", True, "right", "flag hwp", {}),
    ("ryzen_5600", "speed_shift", True, "right", "CPPC", {}),
    ("ryzen_5600", "speed_shift", False, "wrong", "CPPC", {}),
    ("i9_12900h", "speed_shift", True, "unknown", "only Intel and AMD", OTHER_CPU),
    ("i9_12900h", "turbo", True, "right", "on", {}),
    ("core_285k", "turbo", True, "wrong", "off by the operating system", {}),
    ("ryzen_5600", "turbo", True, "right", "on (cpufreq/boost)", {}),
    ("i9_12900h", "turbo", True, "unknown", "no frequency driver", {TURBO: None}),
    ("core_285k", "resizable_bar", True, "right", "0000:02:00.0 shows 128 GiB of 96 GiB", {}),
    ("core_285k", "resizable_bar", True, "wrong", "0000:02:00.0 shows 256 MiB of 96 GiB", LOW_GPU),
    ("ryzen_5600", "resizable_bar", False, "right", "off: 0000:01:00.0 shows 256 MiB", {}),
    ("i9_12900h", "resizable_bar", True, "unknown", "names no GPU with its pci_slot", {}),
    ("core_285k", "above_4g", True, "right", "0000:01:00.0 has memory above 4 GiB", {}),
    ("ryzen_5600", "above_4g", True, "wrong", "no device has memory above", {}),
    ("i9_12900h", "aspm", "performance", "wrong", "policy default, in force: 0000:02:00.0 l1_aspm", {}),
    ("i9_12900h", "aspm", "default", "right", "policy default", {}),
    ("core_285k", "aspm", "performance", "right", "policy performance, in force on no link", {}),
    ("i9_12900h", "aspm", "performance", "wrong", "l1_aspm", {POLICY: "default [performance]"}),
    ("core_285k", "aspm", "powersave", "wrong", "policy performance", {}),
    ("ryzen_5600", "aspm", "performance", "unknown", "neither a policy nor", {}),
    ("ryzen_5600", "aspm", "performance", "right", "policy performance", {POLICY: "default [performance]"}),
    ("i9_12900h", "iommu", True, "right", "on: ACPI table DMAR, the kernel uses dmar0, dmar1", {}),
    ("core_285k", "iommu", True, "right", "on: ACPI table DMAR, the kernel uses none", {}),
    ("ryzen_5600", "iommu", True, "wrong", "off: ACPI table absent, the kernel uses none", {}),
    ("i9_12900h", "secure_boot", False, "right", "off", {}),
    ("core_285k", "secure_boot", False, "wrong", "on", {}),
    ("ryzen_5600", "secure_boot", True, "wrong", "booted without UEFI", {}),
    ("ryzen_5600", "secure_boot", False, "unknown", "not mounted", {"/sys/firmware/efi/efivars/": ""}),
    ("ryzen_5600", "secure_boot", False, "right", "no variable", {"/sys/firmware/efi/efivars/Boot-1": ""}),
    ("core_285k", "memory_mts", 5600, "right", "DIMM A 5600 of 5600 MT/s, DIMM B", {}),
    ("i9_12900h", "memory_mts", 5600, "wrong", "DIMM A 4800 of 5600 MT/s", {}),
    ("ryzen_5600", "memory_mts", 3600, "wrong", "A1 2666 of 3600 MT/s, B1 2666", {}),
    ("i9_12900h", "memory_mts", 5600, "wrong", "B 4800 of 5600", MIXED),
    ("i9_12900h", "memory_mts", 5600, "unknown", "udev has not read", {samples.MEMORY: None}),
    ("i9_12900h", "memory_mts", 5600, "unknown", "does not say the speed", {samples.MEMORY: samples.memory()}),
    ("i9_12900h", "microcode_minimum", "0x43b", "right", "0x43b", {}),
    ("i9_12900h", "microcode_minimum", 0x43C, "wrong", "0x43b", {}),
    ("i9_12900h", "microcode_minimum", 0x43B, "wrong", "0x43a and 0x43b", TWO_REVISIONS),
    ("i9_12900h", "link_width", {"0000:58:00.0": 4}, "right", "x4 of x4", {}),
    ("i9_12900h", "link_width", {"0000:02:00.0": 8}, "wrong", "x4 of x8", {}),
    ("i9_12900h", "link_width", {"0000:99:00.0": 8}, "unknown", "no PCI device", {}),
    ("core_285k", "link_width", {"0000:04:00.0": 8}, "unknown", "shows no PCIe link", NO_LINK),
    ("i9_12900h", "link_speed_gts", {"0000:58:00.0": 16}, "right", "16 GT/s of 16 GT/s", {}),
    ("core_285k", "link_speed_gts", {"0000:04:00.0": 16.0}, "wrong", "8 GT/s of 8 GT/s", {}),
    ("core_285k", "link_speed_gts", {"0000:01:00.0": 32}, "unknown", "read it under load", {}),
    ("core_285k", "link_speed_gts", {"0000:02:00.0": 16}, "right", "16 GT/s or more", {}),
    ("core_285k", "link_speed_gts", {"0000:02:00.0": 64}, "wrong", "32 GT/s at most", {}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[3]}")
def test_an_item_is_judged(row, case):
    sample, item, wanted, verdict, found, change = case
    line = row(sample, item, wanted, change)
    assert (line["verdict"], found in line["found"]) == (verdict, True), line
    assert bool(line["change"]) == (verdict == "wrong")


def test_every_item_is_seen_right_and_wrong_and_unknown():
    seen = {(item, verdict) for _, item, _, verdict, _, _ in CASES}
    # Shown in tests of their own: the host has no GPU, the host shows no revision, the GPU is not there.
    elsewhere = {("above_4g", "unknown"), ("microcode_minimum", "unknown"), ("iommu", "unknown")}
    assert seen | elsewhere == {(item, verdict) for item in fr.ITEMS for verdict in ("right", "wrong", "unknown")}


def test_a_host_without_a_gpu_does_not_tell_above_4g(row):
    sample = {path: text for path, text in samples.I9_12900H.items() if "0000:00:02.0" not in path}
    line = row(sample, "above_4g", True)
    assert (line["verdict"], line["found"]) == ("unknown", "not known: no GPU that would need memory above 4 GiB")


def test_an_intel_gpu_below_4_gib_tells_that_decoding_is_off(row):
    assert row("i9_12900h", "above_4g", True, GPU_LOW)["verdict"] == "wrong"


def test_a_kernel_that_shows_no_tables_and_no_revision_leaves_them_unknown(row):
    sample = {
        path: text
        for path, text in samples.I9_12900H.items()
        if "acpi" not in path and "iommu" not in path and "microcode/version" not in path
    }
    sample[FLAGS] = str(sample[FLAGS]).replace("microcode", "other")
    assert row(sample, "iommu", True)["verdict"] == "unknown"
    assert row(sample, "microcode_minimum", 1)["verdict"] == "unknown"


def test_a_gpu_that_is_not_there_is_unknown_and_the_inventory_is_named(row):
    line = row("i9_12900h", "resizable_bar", True, hardware=samples.HARDWARE["core_285k"])
    assert line["verdict"] == "unknown"
    assert "no PCI device at 0000:01:00.0: correct pci_slot in hardware.gpus" in line["found"]


def test_what_only_root_may_read_is_unknown_and_says_so(tmp_path):
    facts = ff.gather(samples.write(tmp_path, samples.I9_12900H), [])
    facts |= {"secure_boot": None, "denied": [samples.EFI]}
    (line,) = [one for one in fr.firmware_report(facts, {"secure_boot": True}, {}, {}, "h")["items"] if one["wanted"]]
    assert (line["verdict"], line["found"]) == ("unknown", "not known: only root may read it")


WANTED = {"smt": True, "memory_mts": 1, "secure_boot": False, "link_width": {"0000:00:03.0": 1}}


def test_in_a_virtual_machine_only_secure_boot_is_its_own(report):
    done = report(samples.VIRTUAL_MACHINE, WANTED)
    rows = {one["item"]: one for one in done["items"] if one["wanted"]}
    assert {item: one["verdict"] for item, one in rows.items()} == {
        "smt": "unknown",
        "memory_mts": "unknown",
        "secure_boot": "right",
        "link_width 0000:00:03.0": "unknown",
    }
    assert rows["smt"]["found"] == "not known: virtual machine: the hypervisor decides what it sees"
    assert done["counts"] | {"information": 0} == {"right": 1, "wrong": 0, "unknown": 3, "information": 0}


def test_in_a_container_nothing_is_judged(report):
    done = report(samples.CONTAINER, WANTED)
    assert (done["counts"]["right"], done["counts"]["wrong"], done["counts"]["unknown"]) == (0, 0, 4)
    assert done["place"] == "container"


def test_what_nobody_wants_is_information_with_what_was_found(report):
    done = report("i9_12900h", {})
    rows = {one["item"]: one for one in done["items"]}
    assert done["counts"] == {"right": 0, "wrong": 0, "unknown": 0, "information": len(rows)}
    assert rows["memory_mts"]["found"] == "DIMM A 4800 of 5600 MT/s, DIMM B 4800 of 5600 MT/s"
    assert rows["link_width 0000:02:00.0 (Intel X710)"]["found"] == "x4 of x8"
    assert rows["link_width 0000:02:00.1 (Intel X710)"]["found"].startswith("not known: no PCI device")
    assert rows["link_width 0000:58:00.0"]["found"] == "x4 of x4"


def test_the_speed_of_an_idle_gpu_s_link_is_in_no_report_that_does_not_judge_it(report):
    busy = {"/sys/bus/pci/devices/0000:01:00.0/current_link_speed": "32.0 GT/s PCIe"}
    assert report("core_285k", {})["items"] == report("core_285k", {}, busy)["items"]


def test_a_wrong_setting_names_the_menu_of_the_processor_or_of_the_board(report):
    # A 285K has no second threads: the menu is named all the same, the words say that it may have none.
    generic = report("core_285k", {"smt": True})["wrong"]
    assert generic == [
        "smt: wanted on, found off, or the processor has none; Advanced > CPU Configuration > Hyper-Threading"
    ]
    board = report("core_285k", {"smt": True}, menu_paths={"smt": "Tweaker > HT"})["wrong"]
    assert board[0].endswith("; Tweaker > HT")
    amd = report("ryzen_5600", {"iommu": True})["wrong"]
    assert amd[0].endswith("; Advanced > AMD CBS > NBIO Common Options > IOMMU")


def test_a_bar_as_large_as_the_memory_suffices(row):
    gpu = {"model": "x", "pci_slot": "0000:01:00.0"}
    assert row("core_285k", "resizable_bar", True, hardware={"gpus": [gpu | {"vram_gib": 128}]})["verdict"] == "right"
    assert row("core_285k", "resizable_bar", True, hardware={"gpus": [gpu | {"vram_gib": 129}]})["verdict"] == "wrong"


def test_what_is_on_is_said_to_be_on(row):
    assert row("i9_12900h", "turbo", True)["found"] == "on"


def test_what_the_operating_system_turned_off_is_not_blamed_on_the_firmware(report):
    (smt,) = report("ryzen_5600", {"smt": True})["wrong"]
    assert "the firmware has it on: remove the kernel argument nosmt" in smt
    (turbo,) = report("core_285k", {"turbo": True})["wrong"]
    assert "write 0 to intel_pstate/no_turbo" in turbo
    without = {FLAGS: samples.cpuinfo("GenuineIntel", "x", (6, 198, 2), "hwp")}
    (turbo,) = report("core_285k", {"turbo": True}, without)["wrong"]
    assert turbo.endswith("; Advanced > CPU Configuration > CPU Power Management > Turbo Mode")


def test_every_item_has_a_menu_for_the_processors_that_have_it():
    amd = fr.MENUS[""] | fr.MENUS["AuthenticAMD"]
    assert set(fr.MENUS[""] | fr.MENUS["GenuineIntel"]) == set(fr.ITEMS)
    assert set(amd) == set(fr.ITEMS) - {"efficiency_cores"}


def test_the_page_shows_the_wrong_first_and_says_that_menus_differ(report):
    page = report("i9_12900h", {"smt": True, "memory_mts": 5600})["markdown"]
    verdicts = re.findall(r"^\| [^|]+ \| (right|wrong|unknown|information) \|", page, re.MULTILINE)
    assert verdicts[:2] == ["wrong", "right"]
    assert set(verdicts[2:]) == {"information"}
    assert "AHWSA 1.27" in page
    assert "Menu names vary by vendor" in page


def test_two_reports_of_one_state_are_equal_to_the_byte(report):
    assert report("core_285k", {"smt": False}) == report("core_285k", {"smt": False})


@given(st.integers(1, 2**32 - 1))
def test_a_revision_means_the_same_as_number_and_as_text(revision):
    assert fr.wanted_value("microcode_minimum", hex(revision)) == revision
    assert fr.wanted_value("microcode_minimum", revision) == revision
