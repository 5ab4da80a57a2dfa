# SPDX-License-Identifier: Apache-2.0
"""A unit is closed except for what its template names."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from plugins.filter.sandbox import CLOSED, sandbox


def directives(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        found.setdefault(name, []).append(value)
    return found


def test_a_unit_that_needs_nothing_is_closed() -> None:
    found = directives(sandbox({}))
    assert found.keys() == CLOSED.keys()
    assert found["CapabilityBoundingSet"] == [""]
    assert found["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_what_a_unit_needs_replaces_the_closed_line_and_nothing_else() -> None:
    found = directives(sandbox({"CapabilityBoundingSet": "CAP_NET_ADMIN", "ReadWritePaths": ["/sys", "-/run/x"]}))
    assert found.pop("ReadWritePaths") == ["/sys", "-/run/x"]
    assert found.pop("CapabilityBoundingSet") == ["CAP_NET_ADMIN"]
    assert found.items() <= directives(sandbox({})).items()


def test_none_leaves_a_directive_out_and_a_truth_is_a_word_of_systemd() -> None:
    found = directives(sandbox({"MemoryDenyWriteExecute": None, "PrivateNetwork": True, "RemoveIPC": False}))
    assert "MemoryDenyWriteExecute" not in found
    assert found["PrivateNetwork"] == ["true"]
    assert found["RemoveIPC"] == ["false"]


@pytest.mark.parametrize("name", ["ProtectSytem", "Restart"])
def test_a_word_that_is_no_directive_of_a_sandbox_is_refused(name: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"{name} is no directive"):
        sandbox({name: "x"})


def test_a_need_that_changes_nothing_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="UMask is 0077 anyhow"):
        sandbox({"UMask": "0077"})
