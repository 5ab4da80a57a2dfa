# SPDX-License-Identifier: Apache-2.0
"""No change of the SSH configuration locks its administrator out: refused when foreseen, rolled back when not."""

import json
import os
import subprocess
import time
from typing import Any

import pytest

from fleet.paths import LAB_INVENTORY, LAB_STATE, PROJECT, VENV_BIN

HOST = "vps"
DROP_IN = "/etc/ssh/sshd_config.d/10-fleet.conf"
STATE = "/var/lib/fleet/ssh-rollback"
SSH = ["ssh", "-F", str(LAB_STATE / "ssh_config"), "-o", "ControlPath=none", "-o", "BatchMode=yes", HOST]
# Servers still know it, no client offers it: sshd accepts the configuration, and nobody can connect.
UNREACHABLE = {"ssh_ciphers": ["3des-cbc"], "ssh_rollback_timeout": 20}


def on_host(command) -> str:
    return subprocess.run([*SSH, f"sudo sh -c '{command}'"], capture_output=True, text=True, check=True).stdout


def state() -> tuple[str, str]:
    """Every file of sshd, and the process that listens."""
    files = on_host("find /etc/ssh -type f | sort | xargs sha256sum")
    return files, on_host("systemctl show -P MainPID -P InvocationID ssh")


# The module is the role's own, and so is what it imports.
ENVIRONMENT = os.environ | {"ANSIBLE_MODULE_UTILS": f"{PROJECT}/fleet/host:{PROJECT}/roles/ssh/module_utils"}
AD_HOC = [
    *(str(VENV_BIN / "ansible"), "-i", str(LAB_INVENTORY), HOST, "--become"),
    *("--module-path", str(PROJECT / "roles/ssh/library")),
]


def stage(content, seconds) -> None:
    """Stage a change and go no further, as a run that is killed at this point does."""
    arguments = {"path": DROP_IN, "content": content, "rollback_timeout": seconds}
    words = [*AD_HOC, "-m", "ssh_guarded_config"]
    subprocess.run([*words, "-a", json.dumps(arguments)], cwd=PROJECT, env=ENVIRONMENT, capture_output=True, check=True)


def snapshot() -> str:
    """Every file of sshd and of a rollback that waits."""
    return state()[0] + on_host(f"ls {STATE} /etc/systemd/system/ssh-rollback.service 2>/dev/null || true")


@pytest.fixture(scope="module")
def settled() -> list[str]:
    """Return the snapshot that the role's last run left, as the only item."""
    return []


@pytest.fixture
def converged(play, settled):
    """Start from a host on which the role has nothing to do, and leave it so; a play is run only where files differ."""

    def converge() -> None:
        if snapshot() not in settled:
            assert play("ssh", HOST).rc == 0
            settled[:] = [snapshot()]

    converge()
    yield
    converge()


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"ssh_allow_groups": ["wheel"]}, ["is in none of wheel, so nobody could log in"]),
    ({"ssh_port": 2222}, ["sshd will not listen on 22, where the next connection goes to"]),
    (
        {"ssh_user_key_algorithms": ["sk-ssh-ed25519@openssh.com"]},
        ["has no authorised key that lets in (one"],
    ),
    ({"ssh_listen_addresses": ["127.0.0.1"]}, ["does not listen (127.0.0.1:22)"]),
    ({"ssh_kex_algorithms": ["curve25519-sha265"]}, ["curve25519-sha265"]),
    ({"ssh_allow_groups": [], "ssh_ciphers": []}, ["ssh_allow_groups: is empty", "ssh_ciphers: is empty"]),
    ({"ssh_rollback_timeout": 5}, ["5 s are too short for a new connection"]),
]


def test_a_configuration_that_would_lock_out_the_connection_in_use_is_refused_before_anything_changes(refusals):
    before = state()
    said = refusals("ssh", HOST, [variables for variables, _ in REFUSED])
    for (variables, messages), words in zip(REFUSED, said, strict=True):
        assert [message for message in messages if message not in words] == [], variables
    assert state() == before


def test_a_file_that_is_read_earlier_and_opens_passwords_is_refused_by_name(play):
    other = "/etc/ssh/sshd_config.d/00-other.conf"
    on_host(f"echo PasswordAuthentication yes > {other}")
    try:
        result = play("ssh", HOST, ssh_login_grace_time=31)
    finally:
        on_host(f"rm {other}")
    assert f"another file overrules 10-fleet.conf: passwordauthentication is yes ({other})" in result.out


@pytest.mark.usefixtures("converged")
def test_what_cloud_images_bring_along_changes_nothing(play):
    cloud = "/etc/ssh/sshd_config.d/50-cloud-init.conf"
    on_host(f"echo PasswordAuthentication yes > {cloud}")
    try:
        assert play("ssh", HOST).rc == 0
        on_host("systemctl restart ssh")
        words = [*SSH[:-1], "-o", "PreferredAuthentications=none", HOST, "true"]
        refused = subprocess.run(words, capture_output=True, text=True, check=False)
    finally:
        on_host(f"rm {cloud}")
    assert "Permission denied (publickey)." in refused.stderr


@pytest.mark.usefixtures("converged")
def test_a_change_that_nobody_can_connect_with_is_rolled_back_and_open_sessions_live_on(play):
    before = state()[0]
    with subprocess.Popen([*SSH, "read word; echo $word"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        result = play("ssh", HOST, **UNREACHABLE)
        answer, _ = held.communicate(b"alive\n", timeout=30)
    assert answer == b"alive\n"
    assert result.rc != 0
    assert "so the host rolled it back and is reachable again with the previous one" in result.out
    assert state()[0] == before
    assert on_host(f"ls {STATE} /etc/systemd/system/ssh-rollback.service 2>/dev/null || true") == ""


@pytest.mark.usefixtures("converged")
def test_the_rollback_also_starts_a_listener_that_died():
    before = state()[0]
    stage(on_host(f"cat {DROP_IN}").replace("LoginGraceTime 30", "LoginGraceTime 31"), 20)
    on_host("systemctl stop ssh")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and subprocess.run([*SSH, "true"], capture_output=True, check=False).returncode:
        time.sleep(2)
    assert state()[0] == before


@pytest.mark.usefixtures("converged")
def test_a_run_that_is_killed_before_the_confirmation_is_rolled_back_by_the_next_which_applies_again(play):
    before = state()[0]
    text = on_host(f"cat {DROP_IN}")
    stage(text.replace("LoginGraceTime 30", "LoginGraceTime 31"), 600)
    # A reboot forgets the timer, not the unit.
    assert on_host("systemctl is-enabled ssh-rollback.service").strip() == "enabled"
    result = play("ssh", HOST, ssh_login_grace_time=32)
    assert result.rc == 0
    assert "changed=1" in result.out
    assert "LoginGraceTime 32" in on_host(f"cat {DROP_IN}")
    assert "changed=1" in play("ssh", HOST).out
    assert state()[0] == before


@pytest.mark.usefixtures("converged")
def test_the_connection_that_made_a_change_cannot_confirm_it():
    before = state()[0]
    # ControlPersist keeps the connection of this command for the next one.
    stage(on_host(f"cat {DROP_IN}").replace("LoginGraceTime 30", "LoginGraceTime 31"), 600)
    words = [*AD_HOC, "-m", "ssh_guarded_config"]
    done = subprocess.run(
        [*words, "-a", "state=confirmed"], cwd=PROJECT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert "this is the connection that staged the change, not a new one" in done.stdout
    on_host("systemctl start ssh-rollback.service")
    assert state()[0] == before


@pytest.mark.usefixtures("converged")
def test_a_change_that_works_is_confirmed_and_the_next_run_has_nothing_to_do(play):
    assert "changed=1" in play("ssh", HOST, ssh_max_startups="40:30:100").out
    assert "changed=0" in play("ssh", HOST, ssh_max_startups="40:30:100").out
    assert on_host(f"ls {STATE} 2>/dev/null || true") == ""


# As on Ubuntu 24.04: systemd holds the socket, with ports from sshd's own configuration; and cloud-init's drop-in.
SOCKET = """
install -D -m 755 /dev/stdin /etc/systemd/system-generators/sshd-socket-generator <<'END'
#!/bin/sh
folder=$1/ssh.socket.d; mkdir -p "$folder" /run/sshd
{ echo "[Socket]"; echo "ListenStream="; /usr/sbin/sshd -G 2>/dev/null | sed -n 's/^listenaddress /ListenStream=/p'
  printf 'FreeBind=yes\\nBindIPv6Only=ipv6-only\\n'; } >"$folder/addresses.conf"
END
echo "PasswordAuthentication yes" >/etc/ssh/sshd_config.d/50-cloud-init.conf
systemctl disable --quiet ssh.service; systemctl daemon-reload
systemctl stop ssh.service; systemctl enable --quiet --now ssh.socket || systemctl start ssh.service
"""
SERVICE = """
rm -f /etc/systemd/system-generators/sshd-socket-generator /etc/ssh/sshd_config.d/50-cloud-init.conf
systemctl disable --quiet --now ssh.socket; systemctl daemon-reload
systemctl enable --quiet --now ssh.service
"""


def as_root(script: str) -> None:
    subprocess.run([*SSH, "sudo sh -s"], input=script, capture_output=True, text=True, check=True)


@pytest.fixture
def socket_activated():
    as_root(SOCKET)
    yield
    as_root(SERVICE)


@pytest.mark.usefixtures("converged", "socket_activated")
def test_a_host_whose_socket_systemd_holds_takes_a_change_and_a_second_port(play):
    changes = {"ssh_max_startups": "41:30:100", "ssh_transition_port": 2222}
    result = play("ssh", HOST, **changes)
    assert "changed=1" in result.out, result.out
    assert on_host("systemctl is-active ssh.socket").strip() == "active"
    subprocess.run([*SSH[:-1], "-p", "2222", HOST, "true"], capture_output=True, check=True)
    assert "passwordauthentication no" in on_host("sshd -T")
    assert "changed=0" in play("ssh", HOST, **changes).out
