# SPDX-License-Identifier: Apache-2.0
"""What the sysctl role refuses, and that the host is as before."""

import subprocess
from typing import Any

import pytest

from fleet.paths import LAB_STATE

HOST = "vps"
FILE = "/etc/sysctl.d/99-zz-fleet.conf"
LATER = "/etc/sysctl.d/zz-other.conf"


def on_host(command) -> str:
    words = ["ssh", "-F", str(LAB_STATE / "ssh_config"), HOST, f"sudo sh -c '{command}'"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def state():
    """Return a function that reads the file and a running value."""
    return lambda: on_host(f"cat {FILE} /proc/sys/net/ipv4/tcp_fastopen")


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"sysctl_settings": {"net.ipv4.tcp_fastopen": 1}, "sysctl_tuning": {"net/ipv4/tcp_fastopen": 1}},
        "sysctl key net.ipv4.tcp_fastopen is claimed by sysctl_settings too",
    ),
    (
        {"sysctl_tuning": {"vm.dirty_ratio": 5, "vm.dirty_background_ratio": 5}},
        "vm.dirty_background_ratio: 5 is not below vm.dirty_ratio = 5",
    ),
    ({"sysctl_tuning": {"vm.dirty_ratio": 5, "vm.dirty_bytes": 1000}}, "exclude each other"),
    ({"sysctl_tuning": {"kernel.sched_migration_cost_ns": 5000000}}, "moved it to debugfs in 5.13"),
    ({"sysctl_tuning": {"net.ipv4.tcp_fastopen": True}}, "true is not a kernel value; write 1"),
    ({"sysctl_tuning": {"net.ipv4.tcp_fastopen": "fast"}}, "the kernel refuses fast: Invalid argument"),
]


def test_what_cannot_be_applied_is_refused_in_one_line_and_changes_nothing(refusals, state):
    before = state()
    said = refusals("sysctl", HOST, [variables for variables, _ in REFUSED])
    for (variables, message), words in zip(REFUSED, said, strict=True):
        assert message in words, variables
    assert state() == before


def test_a_file_that_would_undo_a_key_at_the_next_boot_is_named(play, state):
    before = state()
    on_host(f"echo net.ipv4.tcp_fastopen = 1 > {LATER}")
    try:
        result = play("sysctl", HOST)
    finally:
        on_host(f"rm {LATER}")
    assert result.rc != 0
    assert f"is set to 1 again by {LATER}: remove it there" in result.out
    assert state() == before


def test_a_value_that_drifted_is_reported_by_a_dry_run_and_repaired_by_a_run(play, state):
    before = state()
    on_host("sysctl -q -w net.ipv4.tcp_fastopen=1")
    dry = play("sysctl", HOST, check=True)
    assert "-net.ipv4.tcp_fastopen = 1" in dry.out
    assert "changed=1" in dry.out
    assert state() != before
    assert "changed=1" in play("sysctl", HOST).out
    assert state() == before
    assert "changed=0" in play("sysctl", HOST).out
