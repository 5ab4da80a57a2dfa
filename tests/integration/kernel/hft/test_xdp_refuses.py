# SPDX-License-Identifier: Apache-2.0
"""What the role xdp refuses, before it changes anything."""

from typing import Any

HOST = "vm-hft"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"xdp_user": "root"}, "xdp_user is root, an account with number 0"),
    ({"xdp_user": "ops"}, "the engine needs a system user of its own"),
    ({"xdp_services": ["execution"]}, "xdp_services names 'execution': the full name of a service"),
    ({"xdp_io_uring_gid": 1000}, "xdp_io_uring_gid is 1000: a system group has a number from 100 to 999"),
    ({"xdp_io_uring_group": "other-uring", "xdp_io_uring_gid": 100}, "which the host's group users has"),
]


def test_what_cannot_work_is_refused_in_one_line_before_anything_changes(refusals):
    said = refusals("xdp", HOST, [variables for variables, _ in REFUSED])
    for (variables, message), words in zip(REFUSED, said, strict=True):
        assert message in words, variables
