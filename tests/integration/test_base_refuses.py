# SPDX-License-Identifier: Apache-2.0
"""Settings of role base that cannot work: refused in one line, before the host is changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

HOST = "laptop"

# One of each way a refusal takes: the role's rules and the specification. All: tests/unit/roles/base/test_rules.py.
WRONG = [
    ("base_timezone", "Europe/Viena", "base_timezone: there is no time zone 'Europe/Viena'; write Europe/Vienna"),
    ("base_apt_sources", [{"name": "vendor"}], "missing required arguments: signed_by, suites, uris"),
]


def refused(result: Any, words: str) -> None:
    assert result.rc != 0
    assert [line for line in result.out.splitlines() if words in line], result.out
    assert re.search(r"changed=0\s.*failed=1\s", result.out), result.out


@pytest.mark.parametrize(("variable", "value", "words"), WRONG)
def test_a_setting_that_cannot_work_is_refused_before_anything_changes(
    play: Callable[..., Any], variable: str, value: object, words: str
) -> None:
    refused(play("base", HOST, **{variable: value}), words)


def test_a_sudo_rule_with_an_error_never_reaches_the_host(play: Callable[..., Any]) -> None:
    refused(play("base", HOST, base_admin_sudo="ALL = NOPASSWD ALL"), "/etc/sudoers.d/50-base not written")
