# SPDX-License-Identifier: Apache-2.0
"""The report of the firmware says what the host's own files say, judges what the inventory wants, and was only read."""

import json
import re

import pytest

from fleet.paths import PROJECT
from roles.firmware_check.filter_plugins.firmware_report import firmware_report
from roles.firmware_check.module_utils.firmware_readings import LINKS

READER = PROJECT / "roles/firmware_check/library/firmware_facts.py"
PROCESSORS = PROJECT / "fleet/host/processors.py"
# The module's reading part needs nothing of Ansible: this stands in for it and prints what was read.
ALONE = """
import json, sys, types
for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["ansible.module_utils.basic"].AnsibleModule = None
processors = sys.modules["ansible.module_utils"].processors = types.ModuleType("processors")
exec({processors!r}, processors.__dict__)
module = types.ModuleType("firmware_facts")
sys.modules["firmware_facts"] = module
exec({source!r}, module.__dict__)
print(json.dumps(module.gather(module.Path("/"), {slots!r})))
"""
# Everything the service manager can make read-only is: a reader that wrote anything would fail in it.
SEALED = (
    "systemd-run --quiet --wait --pipe --collect --property=ProtectSystem=strict --property=ProtectHome=read-only "
    "--property=ProtectKernelTunables=yes --property=ReadOnlyPaths=/ --property=PrivateNetwork=yes python3 -c %s"
)


@pytest.fixture(scope="module")
def name(settings):
    return settings["inventory_hostname"]


@pytest.fixture(scope="module")
def found(report):
    return {row["item"]: row["found"] for row in report["items"]}


@pytest.fixture(scope="module")
def wanted(settings):
    return settings["firmware_check_wanted"]


@pytest.fixture(scope="module")
def bare(host):
    """Return whether the host is a machine of its own: elsewhere only Secure Boot is judged."""
    return host.run("systemd-detect-virt --quiet").rc != 0


def content(host, path: str) -> str | None:
    read = host.run("cat %s", path)
    return read.stdout.strip() if read.rc == 0 else None


def slots(settings, wanted) -> list[str]:
    hardware = settings["hardware"]
    named = [one.get("pci_slot") for kind in ("gpus", "nics") for one in hardware.get(kind) or ()]
    return [slot for slot in [*named, *(slot for item in LINKS for slot in wanted.get(item) or ())] if slot]


@pytest.fixture(scope="module")
def report(host, settings, wanted, name):
    """Return a second report, from a reading without any right to write."""
    texts = {"source": READER.read_text(), "processors": PROCESSORS.read_text()}
    source = ALONE.format(**texts, slots=slots(settings, wanted))
    facts = json.loads(host.check_output(SEALED, source))
    return firmware_report(facts, wanted, settings["hardware"], settings["firmware_check_menu_paths"], name)


def test_the_page_is_what_a_second_reading_without_any_right_to_write_gives(name, report):
    file = PROJECT / "build/firmware" / f"{name}.md"
    assert file.exists(), f"{file} is missing: apply the role firmware_check first"
    assert file.read_text() == report["markdown"]


def test_every_setting_that_the_inventory_wants_has_a_verdict_and_no_other(wanted, report):
    judged = {row["item"].split(" (")[0] for row in report["items"] if row["verdict"] != "information"}
    named = {item for item in wanted if item not in LINKS}
    assert judged == named | {f"{item} {slot}" for item in LINKS for slot in wanted.get(item) or ()}
    without = [row["item"] for row in report["items"] if row["verdict"] != "information" and not row["wanted"]]
    assert without == [], "judged without a wish"


def test_every_wrong_setting_says_where_to_change_it_and_every_unknown_one_why(report):
    for row in report["items"]:
        assert bool(row["change"]) == (row["verdict"] == "wrong"), f"{row['item']}: {row['verdict']}, {row['change']}"
        why = row["found"].startswith("not known: ") or row["verdict"] != "unknown"
        assert why, f"{row['item']}: unknown, and no reason: {row['found']}"


def test_the_counts_are_those_of_the_lines(report):
    verdicts = [row["verdict"] for row in report["items"]]
    assert report["counts"] == {verdict: verdicts.count(verdict) for verdict in report["counts"]}
    assert sum(report["counts"].values()) == len(verdicts) > 0


def test_where_the_host_runs_is_what_systemd_says(host, report, bare):
    container = host.run("systemd-detect-virt --container --quiet").rc == 0
    assert report["place"] == ("container" if container else "machine" if bare else "virtual machine")


def test_secure_boot_is_what_the_variable_says(host, report, found):
    if report["place"] == "container":
        pytest.skip("a container has no firmware")
    if host.file("/sys/firmware/efi").exists and not host.mount_point("/sys/firmware/efi/efivars").exists:
        assert "not known: the UEFI variables are not mounted" in found["secure_boot"]
        return
    value = host.run("tail -c 1 /sys/firmware/efi/efivars/SecureBoot-* | od -An -tu1").stdout.strip()
    # Firmware without the variable, and a BIOS, start anything.
    assert re.findall(r"^\w+", found["secure_boot"]) == [{"1": "on", "0": "off", "": "off"}[value]]


def test_threads_policy_and_microcode_are_what_the_kernel_says(host, found, bare):
    if not bare:
        assert {found[item] for item in ("smt", "aspm", "microcode_minimum")} <= {
            "not known: virtual machine: the hypervisor decides what it sees",
            "not known: container: the firmware is that of the machine underneath",
        }
        return
    control = content(host, "/sys/devices/system/cpu/smt/control")
    assert ("on" if found["smt"] == "on" else "not on") == ("on" if control == "on" else "not on"), found["smt"]
    policy = re.search(r"\[(\w+)\]", content(host, "/sys/module/pcie_aspm/parameters/policy") or "")
    assert (f"policy {policy[1]}" if policy else "") in found["aspm"]
    revisions = set(re.findall(r"^microcode\s*: (0x\w+)$", content(host, "/proc/cpuinfo") or "", re.MULTILINE))
    assert revisions != set(), "/proc/cpuinfo names no microcode"
    assert [one for one in revisions if f"{int(one, 16):#x}" not in found["microcode_minimum"]] == []


def test_the_width_of_every_named_link_is_what_the_device_says(host, settings, wanted, found, bare):
    for slot in slots(settings, wanted):
        line = next(text for item, text in found.items() if item.startswith(f"link_width {slot}"))
        width = content(host, f"/sys/bus/pci/devices/{slot}/current_link_width")
        seen = bare and width is not None and width not in {"0", "63", "255"}
        start = f"x{width} of " if seen else "not known: "
        assert line[: len(start)] == start, slot
