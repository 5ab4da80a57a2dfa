# SPDX-License-Identifier: Apache-2.0
"""The anchor keeps what the recorders sign, nothing that another key signed, and no other user reaches it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from station.journal.chain import Head
from station.journal.checkpoint import Checkpoint, Signer, origin_of
from testinfra.host import Host

from fleet.model.settings import Settings
from tests.host.state import exposure, kind, owned, refused, unit

SOCKET = "station-anchor.socket"
PATH = "/run/station-anchor.sock"
FOLDER = "/var/lib/station-oversight/checkpoints"
STRANGE_SEED = bytes(range(32))

# Runs on a host: what comes on standard input goes to the anchor, and the answer comes back.
ASK = """
import socket, sys
place, request = sys.argv[1], bytes.fromhex(sys.argv[2])
host, _, port = place.rpartition(":")
with socket.socket(socket.AF_INET if host else socket.AF_UNIX) as channel:
    channel.settimeout(20)
    channel.connect((host, int(port)) if host else place)
    channel.sendall(request)
    channel.shutdown(socket.SHUT_WR)
    with channel.makefile("rb") as answer:
        sys.stdout.write(answer.readline().decode())
"""


@pytest.fixture
def places(settings: Settings) -> list[str]:
    """Return where the anchor listens, by the inventory."""
    path = [settings["anchor_socket"]] if settings["anchor_group"] else []
    return path + ([f"{settings['ansible_host']}:{settings['anchor_port']}"] if settings["anchor_port"] else [])


@pytest.fixture
def journals(host: Host) -> list[str]:
    """Return the journals whose keys the host has."""
    return [line.partition("+")[0] for line in host.file("/etc/station/anchor.keys").content_string.splitlines()]


def ask(host: Host, place: str, request: bytes) -> str:
    return str(host.check_output("python3 -c %s %s %s", ASK, place, request.hex())).strip()


def files(host: Host) -> list[str]:
    return sorted(host.check_output("find %s -type f", FOLDER).splitlines())


def test_it_listens_where_the_inventory_says_and_nowhere_else(host: Host, places: list[str]) -> None:
    shown = host.check_output("systemctl show --property=Listen --value %s", SOCKET)
    assert sorted(line.removesuffix(" (Stream)") for line in shown.splitlines()) == sorted(places)
    assert unit(host, SOCKET) == "active, enabled", SOCKET


def test_only_the_group_opens_the_socket(host: Host, settings: Settings) -> None:
    if not settings["anchor_group"]:
        assert kind(host, PATH) == "absent", PATH
        return
    assert owned(host, PATH) == f"root:{settings['anchor_group']} 660", PATH
    outsider = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    assert "Permission denied" in refused(host, f"{outsider} python3 -c %s %s %s", ASK, PATH, b"read x\n".hex())


def test_the_port_is_open_to_hosts_that_have_a_journal_and_to_no_other(
    host: Host, settings: Settings, peer: Callable[[str], Host]
) -> None:
    shown = host.check_output("systemctl show --property=IPAddressAllow,IPAddressDeny %s", SOCKET)
    found = dict(line.split("=", 1) for line in shown.splitlines())
    if not settings["anchor_port"]:
        assert found == dict.fromkeys(found, "")
        return
    recorders, everybody = settings["groups"]["agents"], settings.raw("hostvars")
    addresses = {everybody[name]["ansible_host"] for name in recorders} | {settings["ansible_host"]}
    assert {text.partition("/")[0] for text in found["IPAddressAllow"].split()} == addresses
    assert set(found["IPAddressDeny"].split()) == {"0.0.0.0/0", "::/0"}
    for name in recorders:
        place = f"{settings['ansible_host']}:{settings['anchor_port']}"
        assert ask(peer(name), place, b"read nothing\n").partition(" ")[0] == "unusable:", f"{name} asks {place}"


def test_it_tells_how_much_it_keeps_of_each_journal(host: Host, places: list[str], journals: list[str]) -> None:
    assert journals != [], "/etc/station/anchor.keys"
    for place in places:
        for journal in journals:
            word, size = ask(host, place, f"read {journal}\n".encode()).split()
            assert (word, size.isdecimal()) == ("has", True)


def test_what_another_key_signed_is_not_kept(host: Host, places: list[str], journals: list[str]) -> None:
    before = files(host)
    strange = Signer(journals[0], STRANGE_SEED)
    note = strange.sign(Checkpoint(origin_of(journals[0], bytes(16)), Head(10**18, bytes(32))).text())
    for place in places:
        assert ask(host, place, note) == "unusable: none of the journal's keys has signed it"
        assert ask(host, place, b"hello\n") == "unusable: it is no checkpoint"
    # A recorder at work may add to its file meanwhile.
    assert files(host) == before
    assert host.run("grep --recursive --files-with-matches --fixed-strings %s %s", str(10**18), FOLDER).stdout == ""


def test_the_files_are_those_of_oversight(host: Host) -> None:
    assert owned(host, FOLDER) == "oversight:oversight 750", FOLDER
    for line in host.check_output("find %s -type f -printf '%%u %%g %%m\\n'", FOLDER).splitlines():
        assert line == "oversight oversight 640"
    assert host.user("oversight").shell == "/usr/sbin/nologin"


def test_the_program_its_keys_and_its_units_are_roots(host: Host) -> None:
    for path in (
        "/usr/local/libexec/station/anchor.py",
        "/etc/station/anchor.keys",
        "/etc/systemd/system/station-anchor.socket",
        "/etc/systemd/system/station-anchor@.service",
    ):
        file = host.file(path)
        assert (file.user, file.group, file.mode & 0o022) == ("root", "root", 0), path


def test_the_host_has_public_keys_alone(host: Host, settings: Settings) -> None:
    lines = host.file("/etc/station/anchor.keys").content_string.splitlines()
    assert lines != []
    # A line may be a private key: what is wrong is told by its number.
    wrong = [number for number, line in enumerate(lines, 1) if line.startswith("PRIVATE") or line.count("+") < 2]
    assert wrong == [], "lines that are no public keys"
    if not settings["anchor_group"]:
        assert kind(host, "/etc/credstore/journal-key") == "absent", "/etc/credstore/journal-key"


def test_no_user_of_the_services_reaches_what_is_kept(host: Host) -> None:
    name = "station" if host.user("station").exists else "nobody"
    as_other = f"setpriv --reuid={name} --regid=nogroup --clear-groups"
    for command in (
        f"ls {FOLDER}",
        f"touch {FOLDER}/new",
        f"rm -r {FOLDER}",
        "touch /usr/local/libexec/station/anchor.py",
    ):
        assert "ermission denied" in refused(host, f"{as_other} {command}"), command


def test_the_unit_is_hardened(host: Host) -> None:
    assert exposure(host, "station-anchor@0.service") <= 2.0
