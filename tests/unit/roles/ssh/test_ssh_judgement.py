# SPDX-License-Identifier: Apache-2.0
"""Which configurations would lock a connection out, judged from what sshd prints."""

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.host import ssh_keys
from fleet.host.ssh_connection import Connection
from roles.ssh.module_utils import ssh_judgement as judgement
from tests.unit.fleet.host.keys_kit import KEY, rsa

CONNECTION = Connection("ops", "10.0.0.9", 50000, "10.0.0.1", 22)


def keys_of(*lines: str) -> tuple[ssh_keys.Key, ...]:
    return tuple(key for line in lines if (key := ssh_keys.read(line)))


ACCOUNT = judgement.Account(frozenset({"ops", "ssh-users"}), keys_of(KEY))
OPEN = """\
port 22
listenaddress [::]:22
listenaddress 0.0.0.0:22
permitrootlogin no
pubkeyauthentication yes
authenticationmethods publickey
pubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512
forcecommand none
allowgroups ssh-users
"""


def reasons(connection=CONNECTION, account=ACCOUNT, **changes) -> list[str]:
    values = judgement.parse_effective(OPEN) | {key: [value] for key, value in changes.items()}
    return judgement.lockout_reasons(connection, account, values)


def test_a_member_with_an_accepted_key_gets_in():
    assert reasons() == []


def test_a_group_the_user_is_not_in_locks_out_and_says_where_to_set_it():
    (line,) = reasons(allowgroups="wheel admins")
    assert line.startswith("ops is in no group of AllowGroups (wheel, admins) but in ops, ssh-users: add the user")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"denygroups": "ssh-*"}, "DenyGroups names ssh-users"),
        ({"denyusers": "op?"}, "DenyUsers names ops"),
        ({"allowusers": "root deploy"}, "AllowUsers does not name ops"),
        ({"allowusers": "ops@192.168.0.0/16"}, "AllowUsers does not name ops"),
        ({"pubkeyauthentication": "no"}, "PubkeyAuthentication is no"),
        ({"authenticationmethods": "publickey,password"}, "asks for more than a key"),
        ({"pubkeyacceptedalgorithms": "sk-ssh-ed25519@openssh.com"}, "one is of type ssh-ed25519, which sshd"),
        ({"forcecommand": "/bin/false"}, "ForceCommand leaves ops no shell"),
        ({"listenaddress": "0.0.0.0:2222"}, "comes in at 10.0.0.1 port 22, where the new configuration does"),
        ({"listenaddress": "127.0.0.1:22"}, "does not listen (127.0.0.1:22)"),
        ({"listenaddress": "[::]:22"}, "does not listen"),
    ],
)  # fmt: skip
def test_what_would_refuse_the_connection_is_named(changes, words):
    (line,) = reasons(**changes)
    assert words in line


@pytest.mark.parametrize(
    "changes",
    [
        {"allowusers": "deploy ops"},
        {"allowusers": "ops@10.0.0.0/8"},
        {"allowusers": "*@10.0.0.?"},
        {"authenticationmethods": "password publickey"},
        {"listenaddress": "10.0.0.1:22"},
        {"allowgroups": "ssh-*"},
    ],
)
def test_what_lets_the_connection_in_is_not_refused(changes):
    assert reasons(**changes) == []


def test_root_is_refused_when_root_may_not_log_in():
    account = replace(ACCOUNT, groups=frozenset({"ssh-users"}))
    (line,) = reasons(replace(CONNECTION, user="root"), account)
    assert line.startswith("PermitRootLogin refuses root")


def with_keys(*lines, **changes) -> list[str]:
    return reasons(account=replace(ACCOUNT, keys=keys_of(*lines)), **changes)


def test_an_rsa_key_counts_when_its_modern_signatures_are_accepted_and_it_is_long_enough():
    assert with_keys(rsa(3072), requiredrsasize="3072") == []
    (line,) = with_keys(rsa(2048), requiredrsasize="3072")
    assert "one is an RSA key of 2048 bits, and sshd asks for 3072" in line
    assert with_keys(rsa(2048), KEY, requiredrsasize="3072") == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f'expiry-time="20200101" {KEY}', "has expired"),
        (f'command="echo log in as another" {KEY}', "runs one command only"),
        (f'from="192.168.0.0/16" {KEY}', "does not come from 10.0.0.9"),
        (f'from="10.0.0.*,!10.0.0.9" {KEY}', "does not come from 10.0.0.9"),
        (KEY[:50], "was cut short"),
    ],
)
def test_a_key_that_does_not_let_this_connection_in_does_not_count(line, words):
    (reason,) = with_keys(line)
    assert words in reason


@pytest.mark.parametrize("options", ['from="10.0.0.0/8"', 'from="10.0.0.?"', "no-pty", 'expiry-time="29990101"'])
def test_a_key_with_options_that_lets_this_connection_in_counts(options):
    assert with_keys(f"{options} {KEY}") == []


def test_keys_that_come_from_a_command_are_not_judged():
    assert reasons(account=replace(ACCOUNT, keys=None)) == []


def test_an_account_without_keys_is_locked_out():
    (line,) = reasons(account=replace(ACCOUNT, keys=()))
    assert "it has none" in line


def test_another_file_that_overrules_ours_is_noticed():
    content = "Port 22\nPasswordAuthentication no\nUseDNS no\nMatch Group sudo\n  AllowTcpForwarding local\n"
    effective = judgement.parse_effective("port 22\nport 2222\npasswordauthentication yes\nusedns no\n")
    assert judgement.overruled(content, effective) == {"port": "22 2222", "passwordauthentication": "yes"}


def test_the_order_of_what_adds_up_over_files_does_not_matter():
    effective = judgement.parse_effective("allowgroups b\nallowgroups a\n")
    assert judgement.overruled("# note\nAllowGroups a b\n", effective) == {}


@given(st.text(alphabet="ab*?.[", max_size=8), st.text(alphabet="ab.[", max_size=8))
def test_a_pattern_matches_itself_and_only_its_two_wildcards_are_special(pattern, text):
    assert judgement.matches(pattern.replace("?", "a").replace("*", text), pattern)
    if "*" not in pattern and "?" not in pattern:
        assert judgement.matches(text, pattern) == (text == pattern)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 32))
def test_a_network_admits_exactly_its_addresses(number, prefix):
    network = ipaddress.ip_network((number, prefix), strict=False)
    pattern = f"ops@{network}"
    assert judgement.user_matches(replace(CONNECTION, address=str(network[0])), pattern)
    assert judgement.user_matches(replace(CONNECTION, address=str(network[-1])), pattern)
    outside = int(network[-1]) + 1
    if outside <= 0xFFFFFFFF:
        assert not judgement.user_matches(replace(CONNECTION, address=str(ipaddress.ip_address(outside))), pattern)
