# SPDX-License-Identifier: Apache-2.0
"""Settings of role base that cannot work: refused in one line, before the host is changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.paths import LAB_STATE

HOST = "laptop"

NEW_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA nobody"

# One of each way a refusal takes: the role's rules and the specification. All: tests/unit/roles/base/test_rules.py.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"base_timezone": "Europe/Viena"}, "base_timezone: there is no time zone 'Europe/Viena'; write Europe/Vienna"),
    ({"base_apt_sources": [{"name": "vendor"}]}, "missing required arguments: signed_by, suites, uris"),
    # sudo itself looks for errors in a rule before the rule reaches the host.
    ({"base_admin_sudo": "ALL=(ALL:ALL NOPASSWD: ALL"}, "/etc/sudoers.d/zz-base not written"),
]


def test_a_setting_that_cannot_work_is_refused_before_anything_changes(refusals: Callable[..., list[str]]) -> None:
    said = refusals("base", HOST, [variables for variables, _ in WRONG])
    for (variables, words), line in zip(WRONG, said, strict=True):
        assert words in line, variables


def test_new_keys_without_the_one_in_use_are_refused_where_no_key_file_tells(
    refusals: Callable[..., list[str]], tmp_path: Path
) -> None:
    # As with an agent: the control machine has no public half beside the private one.
    own = tmp_path / "id"
    own.write_text((LAB_STATE / "id_ed25519").read_text())
    own.chmod(0o600)
    keys = {"base_admin_keys": [NEW_KEY], "ansible_ssh_private_key_file": str(own)}
    (said,) = refusals("base", HOST, [keys])
    public = subprocess.check_output(["ssh-keygen", "-l", "-f", LAB_STATE / "id_ed25519.pub"], text=True)
    assert f"lacks the key that this connection was opened with ({public.split()[1]})" in said
