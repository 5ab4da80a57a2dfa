# SPDX-License-Identifier: Apache-2.0
"""Which hosts are refused, and how the host's state is read."""

import hashlib
import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from roles.questdb.library import questdb_preflight as qp

WANTED = qp.Wanted(
    "questdb.service",
    {"questdb_http_port": 9000},
    "/var/lib/questdb",
    min_free_mib=1024,
    memory_mib=2048,
    version="9.3.4",
    system="debian-13",
    java={"debian-13": "openjdk-21-jre-headless"},
)
FOUND = qp.Found({}, free_mib=5000, memory_mib=8000, previous="")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(address: str, state: str = "0A", inode: str = "77") -> str:
    return (
        f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 1\n"
    )


def test_a_host_with_room_memory_and_free_ports_is_accepted():
    assert qp.refusals(WANTED, FOUND) == []


def test_a_port_of_another_process_is_refused_with_variable_and_process():
    found = replace(FOUND, holders={9000: qp.Holder("minio", 42, "minio.service")})
    assert qp.refusals(WANTED, found) == [
        "questdb_http_port: port 9000 is in use by minio (pid 42); stop that or choose another port"
    ]


def test_a_port_that_the_server_itself_holds_is_accepted():
    assert qp.refusals(WANTED, replace(FOUND, holders={9000: qp.Holder("java", 42, "questdb.service")})) == []


def test_a_port_whose_holder_is_hidden_is_still_refused():
    (reason,) = qp.refusals(WANTED, replace(FOUND, holders={9000: qp.Holder("another process", 0, "")}))
    assert "in use by another process;" in reason


def test_too_little_room_is_refused_with_both_figures():
    (reason,) = qp.refusals(WANTED, replace(FOUND, free_mib=1023))
    assert reason.startswith(
        "questdb_root: 1023 MiB free where /var/lib/questdb is, questdb_min_free_mib asks for 1024"
    )


def test_more_memory_than_the_host_has_is_refused():
    (reason,) = qp.refusals(WANTED, replace(FOUND, memory_mib=2047))
    assert reason == "questdb_heap_mib + questdb_native_mib: 2048 MiB asked for, the host has 2047; lower them"


@pytest.mark.parametrize(
    ("previous", "accepted"), [("9.2.0", True), ("9.3.4", True), ("8.3.1", False), ("10.0.0", False)]
)
def test_data_of_another_major_version_is_refused(previous, accepted):
    reasons = qp.refusals(WANTED, replace(FOUND, previous=previous))
    assert (reasons == []) is accepted
    assert all(f"last opened by {previous}, 9.3.4 has another major version" in reason for reason in reasons)


def test_a_system_without_a_tested_java_is_refused_with_those_that_have_one():
    (reason,) = qp.refusals(replace(WANTED, system="debian-11"), FOUND)
    assert reason.startswith(
        "questdb_release.java: no Java for debian-11, which the host runs, was tested with QuestDB"
    )
    assert "only for debian-13; " in reason


def test_every_reason_is_given_at_once():
    found = qp.Found({9000: qp.Holder("x", 1, "")}, 0, 0, "8.0.0")
    assert len(qp.refusals(WANTED, found)) == 4


@pytest.mark.parametrize(
    "address",
    [
        "0100007F:2328",
        "00000000:2328",
        "00000000000000000000000000000000:2328",
        "0000000000000000FFFF00000100007F:2328",
    ],
)
def test_listeners_on_loopback_or_everywhere_hold_the_port(address):
    assert qp.listening([HEAD + line(address)]) == {9000: "77"}


def test_another_address_and_a_connection_do_not_hold_the_port():
    assert qp.listening([HEAD + line("0A004D0A:2328") + line("0100007F:2328", state="01")]) == {}


def test_the_holder_of_a_real_socket_is_found():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert qp.read_holders([port])[port].pid == os.getpid()
    assert qp.read_holders([port]) == {}


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/questdb.service\n", "questdb.service"),
        ("1:name=systemd:/\n0::/system.slice/docker-1.scope/system.slice/questdb.service\n", "questdb.service"),
        ("0::/system.slice/questdb.service/sub\n", "questdb.service"),
        ("0::/user.slice\n", ""),
        ("", ""),
    ],
)
def test_the_unit_of_a_process_is_read_from_its_cgroup(cgroup, unit):
    assert qp.unit_of(cgroup) == unit


def test_room_is_read_where_the_directory_will_be(tmp_path):
    assert qp.read_free_mib(tmp_path / "not" / "yet") == qp.read_free_mib(tmp_path) > 0


def test_the_version_beside_the_data_is_read(tmp_path):
    assert qp.read_previous(tmp_path) == ""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/release.json").write_text(json.dumps({"version": "9.3.4"}))
    assert qp.read_previous(tmp_path) == "9.3.4"


def test_a_jar_counts_as_installed_only_with_its_checksum(tmp_path):
    jar = tmp_path / "x.jar"
    assert not qp.is_installed(jar, "0" * 64)
    jar.write_bytes(b"jar")
    assert qp.is_installed(jar, hashlib.sha256(b"jar").hexdigest())
    jar.write_bytes(b"JAR")
    assert not qp.is_installed(jar, hashlib.sha256(b"jar").hexdigest())


def test_memory_is_read_from_the_kernels_table():
    assert qp.read_memory_mib("MemTotal:       24683520 kB\nMemFree:  1 kB\n") == 24105
    assert qp.read_memory_mib(Path("/proc/meminfo").read_text()) > 0
