# SPDX-License-Identifier: Apache-2.0
"""The event bus on a host: what each user may do, what survives a crash, and what nobody can see."""

from __future__ import annotations

import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from testinfra.host import Host

from tests.host.state import exposure, kind, owned, refused, unit

UNIT = "redis-server@bus.service"
EXPORTER = "prometheus-redis-exporter.service"
USERS = ("agents", "journal", "developer", "tournament", "oversight", "exporter")
# One stream that each user may add to, and one that it may not even when it may read it.
WRITES = {"agents": "md", "journal": "dead", "developer": "strat", "tournament": "tourn"}
REFUSED = {
    "agents": "tourn",
    "journal": "md",
    "developer": "md",
    "tournament": "exec",
    "oversight": "md",
    "exporter": "md",
}
DANGEROUS = (
    "EVAL 'return 1' 0",
    "SCRIPT FLUSH",
    "FUNCTION FLUSH",
    "CONFIG GET maxmemory",
    "CONFIG SET appendonly no",
    "RESTORE verify 0 x",
    "FLUSHALL",
    "KEYS *",
    "DEL md:verify",
    "ACL LIST",
    "CLIENT LIST",
    "BGREWRITEAOF",
    "MODULE LIST",
)

Speak = Callable[..., list[str]]


@pytest.fixture(scope="module")
def speak(settings: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Speak:
    """Return `speak(user, *commands)`: log in through the socket and return one reply for each command.

    Password and commands go in by standard input, so that this test puts no password into a process list either.
    """
    words = ["ssh", *shlex.split(settings.get("ansible_ssh_common_args") or "")]
    key = settings.get("ansible_ssh_private_key_file")
    words += ["-i", str(key)] if key else []
    words += [
        "-o",
        "ControlMaster=auto",
        "-o",
        "ControlPersist=60",
        "-o",
        f"ControlPath={tmp_path_factory.mktemp('ssh')}/%C",
    ]
    words += ["-p", str(settings.get("ansible_port", 22)), f"{settings['ansible_user']}@{settings['ansible_host']}"]
    words += ["sudo", "redis-cli", "-s", settings["redis_socket"]]

    def run(user: str, *commands: str) -> list[str]:
        lines = [f"AUTH {user} {settings['redis_passwords'][user]}"]
        for command in commands:
            lines += ["ECHO ==", command]
        lines.append("")
        done = subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, check=True, timeout=60)
        login, *replies = done.stdout.split("==\n")
        assert login.strip() == "OK", f"{user} cannot log in"
        return [reply.strip() for reply in replies]

    return run


@pytest.fixture(scope="module")
def suffix(speak: Speak) -> Iterator[str]:
    """Return a name that no key has yet; dead:<name>, dead:<name>-out and state:<name> are removed at the end.

    The recorder stores every stream but the dead letters: what a test writes must not become history.
    """
    name = f"verify-{uuid.uuid4().hex}"
    yield name
    speak("admin", f"UNLINK dead:{name} dead:{name}-out state:{name}")


def main_pid(host: Host, unit: str = UNIT) -> int:
    return int(host.check_output(f"systemctl show --property MainPID --value {unit}"))


@pytest.mark.parametrize("user", sorted(WRITES))
def test_a_user_may_write_read_through_a_group_and_acknowledge(speak: Speak, suffix: str, user: str) -> None:
    key = f"{WRITES[user]}:{suffix}"
    commands = [
        f"XADD {key} * user {user}",
        f"XGROUP CREATE {key} {user} 0 MKSTREAM",
        f"XREADGROUP GROUP {user} one COUNT 10 STREAMS {key} >",
        f"XPENDING {key} {user}",
        f"XACK {key} {user} 1-1",
        f"XINFO STREAM {key}",
        f"XADD dead:{suffix} * e 1",
    ]
    # Asked, not done: the services read these streams.
    answers = speak("admin", *(f"ACL DRYRUN {user} {command}" for command in commands))
    assert dict(zip(commands, answers, strict=True)) == dict.fromkeys(commands, "OK")


def test_the_journal_consumes_and_trims_what_it_did_not_write(speak: Speak, suffix: str) -> None:
    key = f"dead:{suffix}"
    (entry,) = speak("agents", f"XADD {key} * order 1")
    created, read, acknowledged, trimmed = speak(
        "journal",
        f"XGROUP CREATE {key} journal 0",
        f"XREADGROUP GROUP journal one STREAMS {key} >",
        f"XACK {key} journal {entry}",
        f"XTRIM {key} MINID {int(entry.split('-')[0]) + 1}-0",
    )
    assert (created, acknowledged, trimmed) == ("OK", "1", "1")
    assert entry in read


def test_consume_and_produce_are_one_transaction(speak: Speak, suffix: str) -> None:
    transaction, mark = speak(
        "agents",
        f"MULTI\nXADD dead:{suffix}-out * signal 1\nSET state:{suffix} 17\nEXEC",
        f"GET state:{suffix}",
    )
    begun, *queued, entry, stored = transaction.split("\n")
    assert (begun, queued, stored, mark) == ("OK", ["QUEUED", "QUEUED"], "OK", "17")
    assert entry in speak("agents", f"XRANGE dead:{suffix}-out - +")[0]


def test_oversight_reads_every_stream(speak: Speak, suffix: str) -> None:
    speak("agents", f"XADD dead:{suffix} * close 1.1")
    assert "close" in speak("oversight", f"XRANGE dead:{suffix} - +")[0]


@pytest.mark.disruptive
@pytest.mark.parametrize("user", USERS)
def test_a_forbidden_command_is_denied_to_all_but_the_admin(speak: Speak, user: str) -> None:
    replies = speak(user, *DANGEROUS)
    assert {command: reply for command, reply in zip(DANGEROUS, replies, strict=True) if "NOPERM" not in reply} == {}


@pytest.mark.parametrize("user", sorted(REFUSED))
def test_a_forbidden_write_is_denied_and_logged(speak: Speak, suffix: str, user: str) -> None:
    key = f"{REFUSED[user]}:{suffix}-{user}"
    assert "NOPERM" in speak(user, f"XADD {key} * a b")[0]
    log = speak("admin", "ACL LOG 50", f"EXISTS {key}")
    assert log[1] == "0"
    assert user in log[0]
    assert [word for word in (key, "xadd") if word in log[0]] != [], "ACL LOG names neither key nor command"


def test_nobody_enters_without_a_name(host: Host, settings: Mapping[str, Any]) -> None:
    said = host.run(f"redis-cli -s {settings['redis_socket']} ping")
    assert "NOAUTH" in said.stdout + said.stderr


def test_only_the_group_opens_the_socket(host: Host, settings: Mapping[str, Any]) -> None:
    socket = settings["redis_socket"]
    found = f"{kind(host, socket)}, {owned(host, socket).partition(':')[2]}"
    assert found == f"socket, {settings['redis_group']} 770", socket
    assert owned(host, "/run/redis-bus").split()[-1] == "750", "/run/redis-bus"
    ping = f"redis-cli -s {settings['redis_socket']} ping"
    assert "Permission denied" in refused(host, f"setpriv --reuid=nobody --regid=nogroup --clear-groups {ping}")
    member = host.run(f"setpriv --reuid=nobody --regid={settings['redis_group']} --clear-groups {ping}")
    assert "NOAUTH" in member.stdout + member.stderr


def test_nothing_listens_on_tcp_that_was_not_asked_for(host: Host, settings: Mapping[str, Any]) -> None:
    lines = host.check_output("ss -Hltnp").splitlines()
    ports = {line.split()[3].rsplit(":", 1)[1] for line in lines if '("redis-server"' in line}
    assert ports == ({str(settings["redis_port"])} - {"0"})
    if settings["redis_port"] != 6379:
        assert [line for line in lines if line.split()[3].endswith(":6379")] == []
    assert host.run("systemctl is-enabled redis-server.service").stdout.strip() == "masked"


def test_without_a_port_the_server_has_no_network_at_all(host: Host, settings: Mapping[str, Any]) -> None:
    if settings["redis_port"] != 0:
        pytest.skip("redis_port is set")
    spaces = host.check_output(f"readlink /proc/1/ns/net /proc/{main_pid(host)}/ns/net").split()
    assert spaces[0] != spaces[1]


def test_the_running_server_has_the_settings_of_the_inventory(speak: Speak, settings: Mapping[str, Any]) -> None:
    expected = {
        "appendonly": "yes",
        "appendfsync": settings["redis_appendfsync"],
        "no-appendfsync-on-rewrite": "no",
        "aof-use-rdb-preamble": "yes",
        "auto-aof-rewrite-percentage": str(settings["redis_aof_rewrite_percentage"]),
        "maxmemory": str(settings["redis_maxmemory_mib"] * 1024 * 1024),
        "maxmemory-policy": "noeviction",
        "protected-mode": "yes",
        "port": str(settings["redis_port"]),
        "unixsocketperm": "770",
        "save": settings["redis_save"],
        "disable-thp": "yes",
        "acllog-max-len": str(settings["redis_acllog_entries"]),
        "dir": f"{settings['redis_data_path']}/data",
    }
    replies = speak("admin", *(f"CONFIG GET {name}" for name in expected))
    found = {name: value for name, _, value in (reply.partition("\n") for reply in replies)}
    assert found == expected


def test_main_thread_and_background_threads_stay_on_their_cpus(host: Host, settings: Mapping[str, Any]) -> None:
    wanted = {"main": settings["redis_cpus"], "background": settings["redis_background_cpus"]}
    if not all(wanted.values()):
        pytest.skip("redis_cpus and redis_background_cpus are not set")
    pid = main_pid(host)
    shown = host.check_output(f"grep -h -E '^(Name|Pid|Cpus_allowed_list)' /proc/{pid}/task/*/status").split("\n")
    threads = [[line.split()[1] for line in shown[i : i + 3]] for i in range(0, len(shown), 3)]
    assert [cpus for _, number, cpus in threads if int(number) == pid] == [wanted["main"]]
    background = {cpus for name, _, cpus in threads if name.startswith("bio_")}
    assert background == {wanted["background"]}


@pytest.mark.disruptive
@pytest.mark.parametrize(
    "blow",
    [f"systemctl kill --signal=KILL --kill-whom=main {UNIT}", f"systemctl restart {UNIT}"],
    ids=["kill -9", "restart"],
)
def test_an_acknowledged_entry_survives(host: Host, speak: Speak, suffix: str, blow: str) -> None:
    key, before, mark = f"dead:{suffix}", main_pid(host), uuid.uuid4().hex
    entry, group, _, pending = speak(
        "agents",
        f"XADD {key} * close {mark}",
        f"XGROUP CREATE {key} g{before} 0",
        f"XREADGROUP GROUP g{before} one STREAMS {key} >",
        f"XPENDING {key} g{before}",
    )
    # A transaction is replayed under other rules than a single command.
    speak("agents", f"MULTI\nXADD dead:{suffix}-out * signal {mark}\nSET state:{suffix} {mark}\nEXEC")
    host.check_output(blow)
    deadline = time.monotonic() + 10
    while host.run("redis-bus ping").rc != 0:
        assert time.monotonic() < deadline, "the server did not come back within 10 s"
        time.sleep(0.2)
    assert group == "OK", "XGROUP CREATE"
    assert main_pid(host) != before, "the process"
    kept, pending_after, signals, state = speak(
        "agents",
        f"XRANGE {key} {entry} {entry}",
        f"XPENDING {key} g{before}",
        f"XRANGE dead:{suffix}-out - +",
        f"GET state:{suffix}",
    )
    assert kept.split() == [entry, "close", mark]
    assert pending_after == pending
    assert mark in signals
    assert state == mark


@pytest.mark.disruptive
def test_zeros_that_a_power_cut_left_behind_the_last_entry_are_cut_off(
    host: Host, speak: Speak, suffix: str, settings: Mapping[str, Any]
) -> None:
    (entry,) = speak("agents", f"XADD dead:{suffix} * close 1.3")
    folder = f"{settings['redis_data_path']}/data/appendonlydir"
    host.check_output(f"systemctl stop {UNIT}")
    try:
        newest = host.check_output(f"ls -1t {folder}/*.incr.aof | head -n 1")
        host.check_output(f"head --bytes=70000 /dev/zero >> {newest}")
    finally:
        host.check_output(f"systemctl start {UNIT}")
    assert entry in speak("agents", f"XRANGE dead:{suffix} - +")[0]
    said = host.check_output(f"journalctl --no-pager --output=cat --lines=30 --unit={UNIT}")
    assert f"{newest} ended in zeros" in said


def test_the_ballast_really_takes_its_space(host: Host, settings: Mapping[str, Any]) -> None:
    wanted = settings["redis_ballast_mib"] * 1024 * 1024
    if wanted == 0:
        pytest.skip("redis_ballast_mib is 0")
    size, blocks, block, owner = host.check_output(
        f"stat --format='%s %b %B %U' {settings['redis_data_path']}/ballast"
    ).split()
    assert int(size) == wanted
    assert int(blocks) * int(block) >= wanted
    assert owner == "root"


def test_a_start_waits_while_the_disk_is_full_and_says_so(host: Host, settings: Mapping[str, Any]) -> None:
    path = settings["redis_data_path"]
    guard = host.check_output(f"systemctl show --property ExecStartPre {UNIT}")
    assert f"redis-bus wait-for-space {path} {settings['redis_min_free_mib']}" in guard
    host.check_output(f"timeout 5 redis-bus wait-for-space {path} 1")
    waiting = host.run_expect([124], f"timeout 2 redis-bus wait-for-space {path} 999999999")
    assert f"disk full: {path} has" in waiting.stderr


def test_the_exporter_reaches_the_server_and_sees_its_streams(
    host: Host, speak: Speak, suffix: str, settings: Mapping[str, Any]
) -> None:
    speak("agents", f"XADD dead:{suffix} * close 1.2")
    address = "127.0.0.1" if settings["redis_exporter_scope"] == "loopback" else settings["ansible_host"]
    metrics = host.check_output(f"curl --fail --silent http://{address}:{settings['redis_exporter_port']}/metrics")
    assert "\nredis_up 1\n" in metrics
    assert 'redis_stream_length{db="db0",stream="dead:' + suffix in metrics
    # A scrape that asked for more than it may would fill the log of denials.
    assert "name=redis_exporter" not in speak("admin", "ACL LOG 512")[0]
    assert settings["redis_scrape"] == [
        {"job": "redis", "port": settings["redis_exporter_port"], "scope": settings["redis_exporter_scope"]}
    ]


@pytest.mark.parametrize("name", [UNIT, EXPORTER])
def test_the_unit_is_hardened_and_starts_at_boot(host: Host, name: str) -> None:
    assert exposure(host, name) <= 2.0
    assert unit(host, name) == "active, enabled", name


def test_passwords_are_in_no_process_list_environment_or_journal(host: Host, settings: Mapping[str, Any]) -> None:
    # Searched here: a search on the host would put them into its own arguments.
    seen = {
        "processes": host.check_output(
            "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true"
        ),
        "journal": host.check_output("journalctl --no-pager --output=cat --since=-1h"),
        "configuration": host.check_output("cat /etc/redis/redis-bus.conf /etc/credstore/redis-bus.acl"),
    }
    passwords = settings["redis_passwords"]
    assert [(place, user) for place, text in seen.items() for user in passwords if passwords[user] in text] == []


@pytest.mark.parametrize("name", ["redis-bus.acl", "redis-bus-exporter.json"])
def test_credentials_are_for_root_alone(host: Host, name: str) -> None:
    assert owned(host, f"/etc/credstore/{name}") == "root:root 600", name


def test_the_role_declares_overcommit_for_the_owner_of_kernel_parameters(settings: Mapping[str, Any]) -> None:
    assert settings["redis_sysctl"]["vm.overcommit_memory"] == 1
