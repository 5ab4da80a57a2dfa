# SPDX-License-Identifier: Apache-2.0
"""Settings of role base that cannot work: refused in one line, before the host is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HOST = "laptop"

# One of each way a refusal takes: the role's rules and the specification. All: tests/unit/roles/base/test_rules.py.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"base_timezone": "Europe/Viena"}, "base_timezone: there is no time zone 'Europe/Viena'; write Europe/Vienna"),
    ({"base_apt_sources": [{"name": "vendor"}]}, "missing required arguments: signed_by, suites, uris"),
    # sudo itself looks for errors in a rule before the rule reaches the host.
    ({"base_admin_sudo": "ALL = NOPASSWD ALL"}, "/etc/sudoers.d/50-base not written"),
]


def test_a_setting_that_cannot_work_is_refused_before_anything_changes(refusals: Callable[..., list[str]]) -> None:
    said = refusals("base", HOST, [variables for variables, _ in WRONG])
    for (variables, words), line in zip(WRONG, said, strict=True):
        assert words in line, variables
