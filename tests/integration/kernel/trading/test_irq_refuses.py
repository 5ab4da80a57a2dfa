# SPDX-License-Identifier: Apache-2.0
"""What the role irq refuses, before it changes anything."""

from typing import Any

HOST = "vm-trading"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"irq_devices": [{"device": "use:market"}]}, "use:market: hardware.nics of this host has no such use"),
    ({"irq_devices": [{"device": "driver:i40e"}]}, "this machine has no driver:i40e, it has "),
    ({"irq_devices": [{"device": "nvme*", "cpus": "0-99"}]}, "nvme*: CPU 4-99 is not in hardware.cpu"),
    ({"irq_devices": [{"device": "nvme*", "cpus": "3-1"}]}, '"3-1" counts down'),
    ({"irq_devices": [{"device": "nvme*"}, {"device": "nvme*"}]}, "nvme*: stands there twice"),
    ({"irq_cpus": "0-3"}, "are isolated: leave it at cpu_sets.irq"),
    ({"irq_cpus": ""}, "irq_cpus: is empty, and cpu_isolation isolates CPUs"),
    ({"irq_balance": "maybe"}, "value of irq_balance must be one of: enabled, disabled"),
    ({"irq_frozen_until": "16:00", "irq_devices": []}, "irq: vm-trading is frozen until 16:00 (market hours)"),
]
# Market hours forbid changes, and there is none to make.
SETTLED: dict[str, Any] = {"irq_frozen_until": "16:00"}
STATE = "cat /etc/fleet/irq.json /proc/irq/*/smp_affinity_list"


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals, on_vm):
    before = on_vm(STATE)
    # In market hours a run is a dry run on the host, which says what it would change.
    *said, settled = refusals("irq", HOST, [*(variables for variables, _ in REFUSED), SETTLED], may_change=True)
    for (variables, message), words in zip(REFUSED, said, strict=True):
        assert message in words, variables
    assert settled == ""
    assert on_vm(STATE) == before
