# SPDX-License-Identifier: Apache-2.0
"""What the role base refuses of its variables."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.base.rules import key_problem
from tests.unit.roles.rules_kit import lines, refusals


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


KEY = f"ssh-ed25519 {blob(b'ssh-ed25519', bytes(32))} operator"
OTHER = f"ssh-ed25519 {blob(b'ssh-ed25519', bytes(31) + b'1')}"
ARCHIVE = {"name": "vendor", "uris": ["https://apt.example"], "suites": ["stable"], "signed_by": "/k.gpg"}


def refused(**changes: Any) -> str:
    (refusal,) = refusals("base", host="vps", **changes)
    assert refusal.variable == next(iter(changes))
    return str(refusal)


def test_the_example_passes() -> None:
    assert lines("base", host="vps") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_admin_user": "root"}, "root is for sudo only"),
        ({"base_admin_user": "Ops Team"}, "is no user name"),
        ({"base_admin_user": ""}, "is no user name"),
        ({"base_groups": ["two words"]}, "base_groups.0: 'two words' is no group name"),
        ({"base_admin_sudo": " "}, "nobody could change the host"),
        ({"base_timezone": "Europe/Viena"}, "write Europe/Vienna"),
        ({"base_timezone": "America/New York"}, "write America/New_York"),
        ({"base_timezone": "Etc/UTX"}, "there is no time zone 'Etc/UTX'"),
        ({"base_timezone": ""}, "there is no time zone"),
        ({"base_timezone": "../etc/passwd"}, "there is no time zone"),
        ({"base_maintenance_window": "Sat 24:00"}, "is no time"),
        ({"base_ntp_servers": []}, "is empty"),
        ({"base_ntp_servers": ["a b"]}, "no name and no address"),
        ({"base_journal_max_use": "4 Gigs"}, "is no size"),
        ({"base_journal_keep_free": "0"}, "is no size"),
        ({"base_journal_retention": "long"}, "is no time span"),
        ({"base_locale": "english"}, "is no locale"),
        ({"base_packages": ["curl jq"]}, "is no package name"),
        ({"base_ca_files": ["/no/such/ca.pem"]}, "No such file or directory"),
        (
            {"base_apt_sources": [ARCHIVE | {"uris": ["apt.example"]}]},
            "base_apt_sources.0.uris: 'apt.example' is no archive",
        ),
        ({"base_apt_sources": [ARCHIVE | {"signed_by": "trusted"}]}, "base_apt_sources.0.signed_by: is neither"),
        ({"base_apt_sources": [ARCHIVE | {"name": "a/b"}]}, "is no file name"),
        ({"base_admin_keys": ["-----BEGIN OPENSSH PRIVATE"]}, "base_admin_keys.0: is"),
        ({"base_admin_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me"]}, "base_admin_keys.0: is a damaged"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_its_key(change: dict[str, Any], words: str) -> None:
    assert words in refused(**change)


@pytest.mark.parametrize("zone", ["Etc/UTC", "America/New_York", "Europe/Vienna"])
@pytest.mark.parametrize("window", ["06:00", "Sat 06:00"])
@pytest.mark.parametrize("retention", ["90day", "2weeks", "1y 6months"])
def test_what_works_is_accepted(zone: str, window: str, retention: str) -> None:
    found = lines(
        "base", host="vps", base_timezone=zone, base_maintenance_window=window, base_journal_retention=retention
    )
    assert found == []


@pytest.mark.parametrize("name", ["My_Box", "-box", "10.20.0.11", "a" * 64])
def test_a_name_that_no_host_can_have_is_refused(name: str) -> None:
    assert "is no host name" in refused(inventory_hostname=name)


@pytest.mark.parametrize("name", ["box", "box.example.com", "a1-b2"])
def test_a_host_may_have_a_domain(name: str) -> None:
    assert lines("base", host="vps", inventory_hostname=name) == []


@pytest.mark.parametrize("size", range(4, 68, 4))
def test_a_key_that_was_cut_anywhere_is_damaged(size: int) -> None:
    kind, data, _ = KEY.split()
    assert key_problem(f"{kind} {data[:size]}")


def test_whole_keys_of_each_type_pass() -> None:
    point = bytes(65)
    assert key_problem(KEY) == ""
    assert key_problem(f"ecdsa-sha2-nistp256 {blob(b'ecdsa-sha2-nistp256', b'nistp256', point)}") == ""
    assert key_problem(f"ssh-rsa {blob(b'ssh-rsa', b'3', bytes(385))} me") == ""
    assert key_problem(f"sk-ssh-ed25519@openssh.com {blob(b'sk-ssh-ed25519@openssh.com', bytes(32), b'ssh:')}") == ""
    assert key_problem(f"ssh-rsa {blob(b'ssh-rsa', b'3')}")


@given(st.text())
def test_no_text_without_matching_data_is_a_public_key(text: str) -> None:
    assert key_problem(f"ssh-ed25519 {text}")


def test_keys_that_lock_the_connection_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_text(KEY)
    own = {"ansible_ssh_private_key_file": str(tmp_path / "id")}
    assert "locked out" in refused(base_admin_keys=[OTHER], **own)
    assert lines("base", host="vps", base_admin_keys=[OTHER, KEY], **own) == []


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(lines("base", host="vps", base_admin_user="root", base_timezone="x", base_ntp_servers=[])) == 3
