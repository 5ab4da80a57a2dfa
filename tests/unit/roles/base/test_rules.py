# SPDX-License-Identifier: Apache-2.0
"""What the role base refuses of its variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.host import ssh_keys
from tests.unit.fleet.host.keys_kit import KEY, blob
from tests.unit.roles.render_kit import rendered
from tests.unit.roles.rules_kit import lines, refusals

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
        ({"base_timezone": "US/Eastern"}, "is an older name, which Debian 13"),
        ({"base_timezone": "Asia/Calcutta"}, "write Asia/Kolkata"),
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


@pytest.mark.parametrize("zone", ["Etc/UTC", "America/New_York", "Europe/Oslo"])
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


CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f"{CERTIFICATE} {blob(CERTIFICATE.encode(), bytes(32))}", "is a certificate"),
        (f"ssh-dss {blob(b'ssh-dss', bytes(128))}", "is no ssh public key that sshd takes"),
        (f'expiry-time="20300101" {KEY}', "instead of a type such as"),
        (f"ssh-rsa {blob(b'ssh-rsa', b'3', b'1' * 256)} me", "is an RSA key of 2046 bits, and sshd asks for 3072"),
        (
            f"ecdsa-sha2-nistp256 {blob(b'ecdsa-sha2-nistp256', b'nistp256', bytes(65))}",
            "is of type ecdsa-sha2-nistp256, which sshd does not accept (ssh_user_key_algorithms)",
        ),
    ],
)
def test_a_whole_key_that_lets_nobody_in_is_refused(key: str, words: str) -> None:
    assert words in refused(base_admin_keys=[KEY, key])


def test_sshd_asks_for_the_size_that_the_rules_ask_for() -> None:
    facts = {"distribution": "Debian", "distribution_version": "13.1"}
    assert f"\nRequiredRSASize {ssh_keys.RSA_BITS}\n" in rendered("ssh", "10-fleet.conf.j2", ansible_facts=facts)


@pytest.mark.parametrize(
    "rule",
    [
        "ALL=(ALL:ALL) NOPASSWD: ALL",
        "ALL = (ALL) NOPASSWD:ALL",
        "ALL=NOPASSWD: SETENV: ALL",
        "ALL=(root, ALL) NOPASSWD: ALL, !/usr/bin/su",
    ],
)
def test_a_rule_of_sudo_that_lets_the_plays_change_everything_passes(rule: str) -> None:
    assert lines("base", host="vps", base_admin_sudo=rule) == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("ALL=(ALL:ALL) ALL", "asks for a password"),
        ("ALL=(ALL:ALL) NOPASSWD: /usr/bin/ls, PASSWD: ALL", "asks for a password"),
        ("ALL=(ALL:ALL) NOPASSWD: /usr/bin/ls", "does not allow every command"),
    ],
)
def test_a_rule_of_sudo_that_stops_the_plays_is_refused(rule: str, words: str) -> None:
    assert words in refused(base_admin_sudo=rule)


def test_a_password_may_be_asked_for_where_the_plays_have_it() -> None:
    assert lines("base", host="vps", base_admin_sudo="ALL=(ALL) ALL", ansible_become_password="x") == []


def test_keys_that_lock_the_connection_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_text(KEY)
    own = {"ansible_ssh_private_key_file": str(tmp_path / "id")}
    assert "locked out" in refused(base_admin_keys=[OTHER], **own)
    assert lines("base", host="vps", base_admin_keys=[OTHER, KEY], **own) == []


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(lines("base", host="vps", base_admin_user="root", base_timezone="x", base_ntp_servers=[])) == 3
