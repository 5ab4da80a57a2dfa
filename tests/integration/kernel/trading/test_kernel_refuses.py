# SPDX-License-Identifier: Apache-2.0
"""What the role kernel refuses by name, before anything is changed."""

from typing import Any

HOST = "vm-trading"
CPU = {"model": "test", "performance_cpus": "0-3", "threads_per_core": 2, "numa_nodes": ["0-1", "2-3"]}


def machine(memory=4, **cpu) -> dict[str, Any]:
    return {"hardware": {"cpu": CPU | cpu, "memory_gib": memory, "nics": [], "gpus": []}}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (machine(performance_cpus="0-7"), "hardware.cpu describes CPUs 0-7, the machine has 0-3"),
    (
        machine(efficiency_cpus="2-3", performance_cpus="0-1", threads_per_core=1),
        "the machine shows one kind of cores",
    ),
    (machine(siblings="apart"), "the machine says CPU 0 of it shares a core with 0-1"),
    (
        machine(numa_nodes=["0-3"]) | {"kernel_hugepages": []},
        "hardware.cpu.numa_nodes[0] is 0-3, the machine says 0-1",
    ),
    (machine(memory=64), "hardware.memory_gib is 64, the machine has"),
    ({"kernel_version": "1.2.3-none-rt-amd64"}, "linux-image-1.2.3-none-rt-amd64"),
    # What needs no host: the others are in tests/unit/roles/kernel/test_rules.py.
    ({"kernel_confirm_minutes": 1}, "kernel_confirm_minutes: 1 is out of range; write a number from 15 to 120"),
]
STATE = "cat /etc/fleet/kernel.json /sys/devices/system/cpu/cpu*/power/pm_qos_resume_latency_us /boot/grub/grub.cfg"


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals, on_vm):
    before = on_vm(STATE)
    said = refusals("kernel", HOST, [variables for variables, _ in REFUSED])
    for (variables, message), words in zip(REFUSED, said, strict=True):
        assert message in " ".join(words.split()), variables
    assert on_vm(STATE) == before
