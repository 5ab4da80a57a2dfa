# SPDX-License-Identifier: Apache-2.0
"""Which configurations would lock a connection out, judged from what sshd prints."""

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.host import machine_record
from roles.ssh.library import ssh_guarded_config as sg

CONNECTION = sg.Connection("ops", "10.0.0.9", 50000, "10.0.0.1", 22)
ACCOUNT = sg.Account(frozenset({"ops", "ssh-users"}), frozenset({"ssh-ed25519"}))
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
    values = sg.parse_effective(OPEN) | {key: [value] for key, value in changes.items()}
    return sg.lockout_reasons(connection, account, values)


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
        ({"pubkeyacceptedalgorithms": "sk-ssh-ed25519@openssh.com"}, "no authorised key of an accepted type (found"),
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


def test_an_rsa_key_counts_when_its_modern_signatures_are_accepted():
    assert reasons(account=replace(ACCOUNT, key_types=frozenset({"ssh-rsa"}))) == []


def test_keys_that_come_from_a_command_are_not_judged():
    assert reasons(account=replace(ACCOUNT, key_types=None)) == []


def test_an_account_without_keys_is_locked_out():
    (line,) = reasons(account=replace(ACCOUNT, key_types=frozenset()))
    assert "found: none" in line


def test_the_connection_is_read_from_the_environment_of_a_process():
    environment = b"USER=ops\0SSH_CONNECTION=fe80::1 50000 fe80::2 22\0TERM=xterm\0"
    assert sg.parse_connection(environment) == sg.Connection("ops", "fe80::1", 50000, "fe80::2", 22)
    assert sg.parse_connection(b"USER=root\0SUDO_USER=ops\0") is None


def test_the_connection_is_found_behind_sudo_which_drops_its_traces(tmp_path):
    def process(pid, parent, environment) -> None:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1")
        (tmp_path / str(pid) / "environ").write_bytes(environment)

    process(40, 30, b"USER=root\0")
    process(30, 20, b"USER=ops\0SSH_CONNECTION=10.0.0.9 50000 10.0.0.1 22\0")
    process(20, 1, b"LANG=C\0")
    assert sg.connection_in_use(40, tmp_path) == CONNECTION


def test_without_a_connection_in_sight_nothing_is_promised(tmp_path):
    (tmp_path / "40").mkdir()
    (tmp_path / "40" / "stat").write_text("40 (python3) S 1 1 1")
    (tmp_path / "40" / "environ").write_bytes(b"USER=root\0")
    with pytest.raises(sg.SshError, match="cannot see the connection in use"):
        sg.connection_in_use(40, tmp_path)


def test_another_file_that_overrules_ours_is_noticed():
    content = "Port 22\nPasswordAuthentication no\nUseDNS no\nMatch Group sudo\n  AllowTcpForwarding local\n"
    effective = sg.parse_effective("port 22\nport 2222\npasswordauthentication yes\nusedns no\nallowtcpforwarding no\n")
    assert sg.overruled(content, effective) == {"port": "22 2222", "passwordauthentication": "yes"}


def test_the_order_of_what_adds_up_over_files_does_not_matter():
    effective = sg.parse_effective("allowgroups b\nallowgroups a\n")
    assert sg.overruled("# note\nAllowGroups a b\n", effective) == {}


@given(st.text(alphabet="ab*?.[", max_size=8), st.text(alphabet="ab.[", max_size=8))
def test_a_pattern_matches_itself_and_only_its_two_wildcards_are_special(pattern, text):
    assert sg.matches(pattern.replace("?", "a").replace("*", text), pattern)
    if "*" not in pattern and "?" not in pattern:
        assert sg.matches(text, pattern) == (text == pattern)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 32))
def test_a_network_admits_exactly_its_addresses(number, prefix):
    network = ipaddress.ip_network((number, prefix), strict=False)
    pattern = f"ops@{network}"
    assert sg.user_matches(replace(CONNECTION, address=str(network[0])), pattern)
    assert sg.user_matches(replace(CONNECTION, address=str(network[-1])), pattern)
    outside = int(network[-1]) + 1
    if outside <= 0xFFFFFFFF:
        assert not sg.user_matches(replace(CONNECTION, address=str(ipaddress.ip_address(outside))), pattern)


@pytest.mark.parametrize(("machine", "foreign"), [("this", False), ("another", True)])
def test_a_change_that_another_machine_made_is_no_way_back_for_this_one(tmp_path, monkeypatch, machine, foreign):
    monkeypatch.setattr(sg, "STATE", tmp_path / "ssh-rollback")
    monkeypatch.setattr(machine_record, "identity", lambda: "this")
    assert not sg.is_foreign(), "no change waits"
    sg.save([tmp_path / "10-fleet.conf"], CONNECTION)
    monkeypatch.setattr(machine_record, "identity", lambda: machine)
    assert sg.is_foreign() is foreign
