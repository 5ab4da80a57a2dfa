# SPDX-License-Identifier: Apache-2.0
"""Nothing that can be moved runs on an isolated CPU: interrupts, packet queues, workqueues, kernel threads."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest
from testinfra.host import Host

from fleet.hardware.cpus import compose, parse
from tests.host.state import exposure, installed, unit

TOOL = "/usr/local/libexec/fleet/irq-affinity"
UNIT = "fleet-irq.service"
AGAIN = "fleet-irq-again"
NVME_QUEUE = re.compile(r"nvme\d+q[1-9]\d*")
# Own eyes, not the tool's: number, where it may fire, where it does, what it serves, the device that it belongs to.
LOOK = r"""
import json, pathlib
def word(path):
    return path.read_text().strip()
sys, found = pathlib.Path("/sys"), []
devices = {int(file.name): file.parents[1] for file in sys.glob("bus/pci/devices/*/msi_irqs/*")}
for folder in pathlib.Path("/proc/irq").glob("[0-9]*"):
    number, names, device = int(folder.name), [], devices.get(int(folder.name))
    if device:
        names = ["pci:" + device.name, "pci:" + ":".join(word(device / key)[2:] for key in ("vendor", "device"))]
        names += ["driver:" + link.resolve().name for link in (*device.glob("driver"), *device.glob("virtio*/driver"))]
    places = [word(folder / name) for name in ("smp_affinity_list", "effective_affinity_list")]
    found.append([number, *places, word(sys / f"kernel/irq/{number}/actions"), names])
print(json.dumps(found))
"""
# include/linux/sched.h: PF_KTHREAD without PF_NO_SETAFFINITY.
THREADS = r"""
import os, pathlib
for folder in pathlib.Path('/proc').glob('[0-9]*'):
    try:
        name, _, rest = (folder / 'stat').read_text().partition('(')[2].rpartition(')')
        if int(rest.split()[6]) & 0x04200000 == 0x00200000:
            print(name, *os.sched_getaffinity(int(folder.name)), sep='|')
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Line:
    """One interrupt of the host."""

    number: int
    cpus: frozenset[int]
    effective: frozenset[int]
    actions: tuple[str, ...]
    device: tuple[str, ...]


def mask(text: str) -> frozenset[int]:
    bits = int(text.replace(",", ""), 16)
    return frozenset(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


@pytest.fixture(scope="module")
def isolated(settings):
    found = parse(settings["cpu_sets"]["isolated"])
    if not found:
        pytest.skip("the inventory isolates no CPU of this host")
    return found


@pytest.fixture(scope="module")
def online(host):
    return parse(host.check_output("cat /sys/devices/system/cpu/online"))


def in_use(host: Host) -> dict[int, Line]:
    found = {}
    for number, cpus, effective, actions, device in json.loads(host.check_output("python3 -c %s", LOOK)):
        if actions:
            found[number] = Line(number, parse(cpus), parse(effective), tuple(actions.split(",")), tuple(device))
    return found


@pytest.fixture
def lines(host):
    """Return the interrupts in use by their numbers."""
    found = in_use(host)
    assert found, "no interrupt is in use"
    return found


@pytest.fixture
def fixed(host):
    """Return the numbers of the interrupts that the kernel refused to move."""
    keys = json.loads(host.check_output("cat /run/fleet-irq/fixed.json"))
    return {int(key.split()[1]) for key in keys if key.startswith("irq ")}


@pytest.fixture
def placed(host, lines):
    """Return the interrupts of each rule of the inventory, by the place of the rule."""
    rules = json.loads(host.check_output("cat /etc/fleet/irq.json"))["rules"]
    for _ in range(10):
        found = of_rules(rules, lines)
        if all(matched for _, matched in found):
            break
        # A card that is taken up, as after a test of its settings, has no interrupt for a moment.
        time.sleep(1)
        lines = in_use(host)
    return found


def of_rules(
    rules: Sequence[Mapping[str, Any]], lines: Mapping[int, Line]
) -> list[tuple[Mapping[str, Any], list[Line]]]:
    found: dict[int, list[Line]] = {number: [] for number in range(len(rules))}
    for line in lines.values():
        for number, rule in enumerate(rules):
            if any(p in line.device or any(fnmatchcase(a, p) for a in line.actions) for p in rule["match"]):
                found[number].append(line)
                break
    return [(rule, found[number]) for number, rule in enumerate(rules)]


@pytest.fixture
def movable(lines, fixed, placed):
    """Return the interrupts that neither the kernel nor a rule of the inventory keeps somewhere."""
    chosen = {line.number for _, found in placed for line in found}
    found = [line for line in lines.values() if line.number not in fixed | chosen]
    print(f"{len(found)} interrupts can be moved, {len(fixed)} are fixed by the kernel, {len(chosen)} placed by rules")
    assert found, "no interrupt can be moved"
    return found


def test_the_units_run_and_start_at_boot(host):
    for name in (UNIT, f"{AGAIN}.timer"):
        assert unit(host, name) == "active, enabled", name


@pytest.mark.parametrize("name", [UNIT, f"{AGAIN}.service"])
def test_the_units_are_hardened(host, name):
    assert exposure(host, name) <= 2.0


def test_the_last_run_found_nothing_that_will_not_move(host):
    for name in (UNIT, f"{AGAIN}.service"):
        assert host.check_output(f"systemctl show --value --property=Result {name}") == "success", name
    host.check_output(f"{TOOL} check")


@pytest.mark.disruptive
def test_an_interrupt_that_somebody_moved_comes_back_when_the_unit_starts(host, movable, isolated, online):
    line = next(line for line in movable if line.device)
    file = f"/proc/irq/{line.number}/smp_affinity_list"
    host.check_output(f"echo {compose(isolated & online)} > {file}")
    assert parse(host.check_output(f"cat {file}")) & isolated != set(), f"the kernel did not move {line.number}"
    host.check_output(f"systemctl restart {UNIT}")
    assert parse(host.check_output(f"cat {file}")) & isolated == set(), line.actions


def test_no_interrupt_that_can_be_moved_may_fire_on_an_isolated_cpu(movable, isolated, online):
    assert [line for line in movable if line.cpus & isolated & online] == []


def test_no_interrupt_that_can_be_moved_is_routed_to_an_isolated_cpu(host, movable, isolated):
    # x86 reroutes a line when it fires: one that never does keeps its route until the boot with irqaffinity=.
    if parse(host.check_output("cat /sys/devices/system/cpu/isolated")) != isolated:
        pytest.skip("this host has not booted with its isolated CPUs")
    assert [line for line in movable if line.effective & isolated] == []


def test_only_interrupts_that_the_kernel_manages_are_left_where_they_are(lines, fixed):
    # Per-CPU and timer lines, and queues that blk-mq spreads over the CPUs: virtio-blk, virtio-scsi and NVMe.
    known = re.compile(r"timer|nvme\d+q\d+|virtio\d+-(req\.\d+|request)|megasas|mpt3sas|.*-queue-\d+")
    strange = [lines[number] for number in fixed & lines.keys() if not known.match(lines[number].actions[0])]
    assert strange == []


def test_a_disks_queue_that_also_serves_housekeeping_cpus_fires_there(host, lines, isolated, online):
    if parse(host.check_output("cat /sys/devices/system/cpu/isolated")) != isolated:
        pytest.skip("this host has not booted with its isolated CPUs")
    queues = [line for line in lines.values() if NVME_QUEUE.match(line.actions[0])]
    if not queues:
        pytest.skip("this host has no NVMe disk")
    # isolcpus=managed_irq is best effort: a queue for isolated CPUs alone fires there, when they use the disk.
    shared = [line for line in queues if line.cpus & online - isolated]
    print(f"{len(queues)} queues, {len(shared)} of them serve housekeeping CPUs too")
    assert shared, "no queue serves housekeeping CPUs"
    assert [line for line in shared if line.effective & isolated] == []


def test_a_rule_has_its_interrupts_on_its_cpus(placed, online):
    if not placed:
        pytest.skip("the inventory places no device of this host")
    for rule, found in placed:
        cpus = parse(rule["cpus"]) & online
        assert found, f"no interrupt fits the rule {rule['match']}"
        for line in found:
            assert line.cpus & online <= cpus if rule["spread"] else line.cpus & online == cpus, line
            assert len(line.cpus) == 1 or not rule["spread"], line


def test_new_interrupts_land_where_the_others_are(host, settings, online):
    wanted = parse(settings["irq_cpus"]) & online
    found = mask(host.check_output("cat /proc/irq/default_smp_affinity"))
    assert found & online == (wanted or found & online)


def test_no_workqueue_may_run_on_an_isolated_cpu(host, isolated):
    text = host.check_output("cd /sys/devices/virtual/workqueue && grep -H . cpumask */cpumask")
    found = {name: mask(value) for name, _, value in (line.partition(":") for line in text.splitlines())}
    assert "cpumask" in found
    assert {name: compose(cpus) for name, cpus in found.items() if cpus & isolated} == {}


def test_no_packet_queue_is_steered_to_an_isolated_cpu(host, isolated):
    text = host.run("grep -H . /sys/class/net/*/queues/*/[rx]ps_cpus 2>/dev/null").stdout
    found = {name: mask(value) for name, _, value in (line.partition(":") for line in text.splitlines())}
    assert found, "the kernel shows no packet queue"
    assert {name: compose(cpus) for name, cpus in found.items() if cpus & isolated} == {}


def test_no_kernel_thread_that_can_be_moved_may_run_on_an_isolated_cpu(host, isolated):
    text = host.check_output("python3 -c %s", THREADS)
    found = [(words[0], frozenset(map(int, words[1:]))) for words in (line.split("|") for line in text.splitlines())]
    unbound = [(name, cpus) for name, cpus in found if len(cpus) > 1 and not name.startswith("irq/")]
    assert unbound, "the kernel shows no thread that can be moved"
    assert [(name, compose(cpus)) for name, cpus in unbound if cpus & isolated] == []


def test_irqbalance_keeps_off_the_isolated_cpus_or_is_not_there(host, settings, isolated):
    if settings["irq_balance"] == "disabled":
        assert installed(host, ["irqbalance"]) == set()
        return
    assert unit(host, "irqbalance").partition(",")[0] == "active", "irqbalance"
    words = dict(re.findall(r"^(\w+)=(.*)$", host.file("/etc/default/irqbalance").content_string, re.MULTILINE))
    assert isolated <= parse(words["IRQBALANCE_BANNED_CPULIST"])
    assert "--policyscript=" in words["IRQBALANCE_ARGS"]
