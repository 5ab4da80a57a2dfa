# SPDX-License-Identifier: Apache-2.0
"""What the role irq refuses, before it changes anything."""

from typing import Any

HOST = "vm-trading"


REFUSED: list[tuple[dict[str, Any], str]] = [
    # What needs no host: the others are in tests/unit/roles/irq/test_rules.py.
    ({"irq_devices": [{"device": "use:market"}]}, "hardware.nics of this host has no port for the use market"),
    ({"irq_devices": [{"device": "driver:i40e"}]}, "this machine has no driver:i40e, it has "),
    ({"irq_balance": "maybe"}, "value of irq_balance must be one of: enabled, disabled"),
]
STATE = "cat /etc/fleet/irq.json /proc/irq/*/smp_affinity_list"


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals, on_vm):
    before = on_vm(STATE)
    said = refusals("irq", HOST, [variables for variables, _ in REFUSED])
    for (variables, message), words in zip(REFUSED, said, strict=True):
        assert message in words, variables
    assert on_vm(STATE) == before
