# SPDX-License-Identifier: Apache-2.0
"""Settings of role base that cannot work: refused in one line, before the host is changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOST = "laptop"
ARCHIVE = {
    "name": "vendor",
    "uris": ["https://apt.example"],
    "suites": ["stable"],
    "signed_by": "/etc/apt/keyrings/x.gpg",
}

# Misspelt, empty, of the wrong kind: variable, value, words of the answer.
WRONG = [
    ("base_admin_user", "root", "base_admin_user is root"),
    ("base_admin_user", "Ops Team", "is no user name"),
    ("base_admin_keys", ["ssh-ed25519 AAAA"], "is no ssh public key"),
    ("base_groups", ["two words"], "is no group name"),
    ("base_timezone", "Europe/Viena", "base_timezone 'Europe/Viena' does not exist: write Europe/Vienna"),
    ("base_maintenance_window", "Saturday", "write it as 'Sat 06:00'"),
    ("base_ntp_servers", [], "base_ntp_servers is empty"),
    ("base_ca_files", ["/no/such/ca.pem"], "/no/such/ca.pem: No such file or directory"),
    ("base_apt_sources", [ARCHIVE | {"uris": ["apt.example"]}], "is no archive's address"),
    ("base_apt_sources", [ARCHIVE | {"signed_by": "trusted"}], "signed_by of vendor"),
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


def test_a_file_that_is_no_certificate_is_refused(play: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    refused(play("base", HOST, base_ca_files=[str(tmp_path / "ca.pem")]), "ca.pem holds no PEM certificate")


def test_all_that_is_wrong_is_told_at_once(play: Callable[..., Any]) -> None:
    result = play("base", HOST, base_timezone="Mars/Base", base_admin_user="root")
    refused(result, "base_admin_user is root")
    refused(result, "'Mars/Base' does not exist")


def test_a_sudo_rule_with_an_error_never_reaches_the_host(play: Callable[..., Any]) -> None:
    refused(play("base", HOST, base_admin_sudo="ALL = NOPASSWD ALL"), "/etc/sudoers.d/50-base not written")
