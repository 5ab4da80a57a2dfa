# SPDX-License-Identifier: Apache-2.0
"""What the role xdp refuses, before it changes anything."""

from typing import Any

HOST = "vm-hft"


REFUSED: list[tuple[dict[str, Any], str]] = [
    # What needs no host: the others are in tests/unit/roles/xdp/test_rules.py.
    ({"xdp_services": ["execution"]}, "xdp_services.0: 'execution' is no service"),
    ({"xdp_io_uring_group": "other-uring", "xdp_io_uring_gid": 100}, "which the host's group users has"),
]


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals):
    said = refusals("xdp", HOST, [variables for variables, _ in REFUSED])
    for (variables, message), words in zip(REFUSED, said, strict=True):
        assert message in words, variables
