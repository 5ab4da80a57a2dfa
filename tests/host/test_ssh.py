# SPDX-License-Identifier: Apache-2.0
"""Who gets in by ssh, how, and what a session may open: asked of the running sshd from outside."""

import shlex
import socket
import subprocess
import time

import pytest

from tests.host.state import kind

STATE = "/var/lib/fleet/ssh-rollback"
STRANGER = "user=nobody,host=192.0.2.1,addr=192.0.2.1,laddr=192.0.2.2,lport=22"


@pytest.fixture
def ssh(settings):
    """Return a function that gives the words of an ssh command over a connection of its own."""

    def words(*options, user=None):
        port = settings.get("ansible_port", settings["ssh_port"])
        key = settings.get("ansible_ssh_private_key_file")
        return [
            "ssh", *shlex.split(settings.get("ansible_ssh_common_args", "")), *(["-i", key] if key else []),
            "-o", "ControlPath=none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-p", str(port),
            *options, f"{user or settings['ansible_user']}@{settings['ansible_host']}",
        ]  # fmt: skip

    return words


def run(command) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def effective(host, criteria) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in host.check_output("/usr/sbin/sshd -T -C %s", criteria).splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword, []).append(value)
    return values


def test_the_effective_configuration_is_key_only_for_the_allowed_groups_and_never_root(host, settings):
    found = effective(host, STRANGER)
    assert set(found["allowgroups"]) == set(settings["ssh_allow_groups"])
    assert found["hostkey"] == [f"/etc/ssh/ssh_host_{kind}_key" for kind in settings["ssh_host_key_types"]]
    wanted = {
        "authenticationmethods": "publickey", "passwordauthentication": "no", "kbdinteractiveauthentication": "no",
        "permitrootlogin": "no", "usedns": "no", "x11forwarding": "no", "allowagentforwarding": "no",
        "logingracetime": str(settings["ssh_login_grace_time"]), "maxstartups": settings["ssh_max_startups"],
    }  # fmt: skip
    assert {keyword: found[keyword] for keyword in wanted} == {keyword: [value] for keyword, value in wanted.items()}


def test_only_the_groups_of_the_policy_may_forward(host, settings):
    stranger = effective(host, STRANGER)
    admin = effective(host, STRANGER.replace("nobody", settings["ansible_user"]))
    for keyword in ("allowtcpforwarding", "allowstreamlocalforwarding"):
        assert (stranger[keyword], admin[keyword]) == (["no"], [settings["ssh_forwarding"]])


def test_nothing_but_a_key_is_offered_and_root_is_refused_with_one(ssh):
    # One attempt each: newer sshd lock out an address that fails too often.
    for words in (ssh("-o", "PreferredAuthentications=none"), ssh(user="root")):
        answer = run([*words, "true"])
        assert answer.returncode == 255, "ssh's status"
        assert "Permission denied (publickey)." in answer.stderr


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("HostKeyAlgorithms=ecdsa-sha2-nistp256", "no matching host key type found"),
        ("KexAlgorithms=diffie-hellman-group14-sha256", "no matching key exchange method found"),
        ("Ciphers=aes128-cbc", "no matching cipher found"),
    ],
)
def test_old_algorithms_are_refused(ssh, option, complaint):
    assert complaint in run([*ssh("-o", option), "true"]).stderr


def test_the_host_keys_are_those_of_the_policy_and_private(host, settings):
    found = host.check_output("find /etc/ssh -name 'ssh_host_*_key' -printf '%f %m %u\\n' | sort").splitlines()
    assert found == [f"ssh_host_{kind}_key 600 root" for kind in sorted(settings["ssh_host_key_types"])]


def test_the_administrator_reaches_a_loopback_port_through_ssh(ssh, settings):
    assert settings["ssh_forwarding"] in {"local", "yes"}
    command = [*ssh("-W", f"127.0.0.1:{settings['ssh_port']}")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tunnel:
        assert tunnel.stdout is not None
        banner = tunnel.stdout.readline()
        tunnel.terminate()
    assert banner[:15] == b"SSH-2.0-OpenSSH"


def test_the_administrator_reaches_a_unix_socket_through_ssh(ssh, tmp_path):
    near = tmp_path / "bus"
    command = ssh("-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{near}:/run/dbus/system_bus_socket")
    with subprocess.Popen(command) as tunnel:
        try:
            deadline = time.monotonic() + 20
            while not near.exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(near))
                client.sendall(b"\0AUTH\r\n")
                assert client.recv(100)[:8] == b"REJECTED"
        finally:
            tunnel.terminate()


def test_a_port_of_the_host_cannot_be_opened_from_outside(ssh, settings):
    if settings["ssh_forwarding"] == "yes":
        pytest.skip("this host's policy allows ssh -R")
    refused = run(ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9"))
    assert refused.returncode == 255, "ssh's status"
    assert "remote port forwarding failed" in refused.stderr


def test_no_change_waits_for_its_confirmation(host):
    for path in (STATE, "/etc/systemd/system/ssh-rollback.service"):
        assert kind(host, path) == "absent", path
