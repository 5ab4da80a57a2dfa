# SPDX-License-Identifier: Apache-2.0
"""What the role onload refuses before it changes anything, on a realtime kernel, which Onload does not support."""

from typing import Any

HOST = "vm-trading"
# The machine has no card of the vendor's; its own virtual one stands for it where the refusal is not the subject.
ADAPTERS = ["1af4:*"]


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals, stand_in):
    # What else needs no host is in tests/unit/roles/onload/test_rules.py.
    cases: list[tuple[dict[str, Any], str]] = [
        ({"onload_services": {"x.service": "latency"}}, "onload_services: names units, and onload_packages no files"),
        ({"onload_packages": stand_in("9.2.1.0")}, "write kernel_flavour: generic"),
    ]
    said = refusals("onload", HOST, [{"onload_adapters": ADAPTERS, **variables} for variables, _ in cases])
    for (variables, message), words in zip(cases, said, strict=True):
        assert message in words, variables
