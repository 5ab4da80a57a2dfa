# SPDX-License-Identifier: Apache-2.0
"""What stands in the way of the lab is one line and exit status 1."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from docker.errors import NotFound

from fleet.errors import UserError
from lab import archive, samples
from lab.containers import __main__ as command
from lab.containers import engine, hosts, image, secrets

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def roomy_machine_with_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing below may start an engine or write into the inventory."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    monkeypatch.setattr(command, "LAB_STATE", tmp_path)
    monkeypatch.setattr(engine, "start", MagicMock(side_effect=AssertionError("the engine was started")))
    for module, name in (
        (secrets, "make_vault"),
        (secrets, "write_local_values"),
        (archive, "find_mirrors"),
        (image, "default"),
        (samples, "provide"),
    ):
        monkeypatch.setattr(module, name, MagicMock())
    monkeypatch.setattr(secrets, "make_ssh_key", lambda: tmp_path / "id_ed25519")
    monkeypatch.setattr(image, "provide", lambda *_: "station-lab:test")
    for name in ("HOSTS", "LAB_IMAGE", "V"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Return `refused(*arguments)`: exit status 1, one line on standard error, which is returned."""

    def run(*arguments: str) -> str:
        assert command.main(list(arguments)) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    return run


def test_without_root_it_says_so(refused, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refused("create").startswith("lab: the lab needs root")


def test_a_full_disk_is_named_with_what_is_free_and_what_is_needed(refused, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 1.5 * 2**30))
    line = refused("create")
    assert line.startswith("lab: 1.5 GiB free on the disk of ")
    assert f"the lab needs {command.FREE_GIB}" in line


def test_an_unknown_host_is_refused_with_the_hosts_that_exist(refused):
    line = refused("create", "--hosts", "station,vsp")
    assert line.startswith("lab: no host vsp in inventory/lab/hosts.yml: it has ")
    assert "vps" in line


def test_a_subnet_in_use_is_refused_with_who_uses_it(refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "id_ed25519.pub").write_text("ssh-ed25519 AAAA lab\n")
    client = MagicMock()
    client.version.return_value = {"Version": "test"}
    client.networks.get.side_effect = NotFound("station-lab")
    monkeypatch.setattr(engine, "start", lambda: client)
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": "10.77.0.0/16", "dev": "wg0"}]
    answer = subprocess.CompletedProcess([], 0, stdout=json.dumps(routes), stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    line = refused("create")
    assert line.startswith(
        f"lab: the lab's network {hosts.SUBNET} is already in use on this machine (10.77.0.0/16 on wg0)"
    )
    client.networks.create.assert_not_called()
    client.containers.run.assert_not_called()


def test_a_command_that_fails_is_named_with_its_status(refused, monkeypatch: pytest.MonkeyPatch):
    failure = subprocess.CalledProcessError(3, ["ssh-keygen", "-q"])
    monkeypatch.setattr(engine, "start", MagicMock(side_effect=failure))
    assert refused("create") == "lab: `ssh-keygen -q` failed with status 3"


def test_no_names_mean_every_host_of_the_inventory_and_names_mean_those():
    assert hosts.select([]) == hosts.planned()
    assert list(hosts.select(["vps", "station"])) == ["vps", "station"]


def test_all_unknown_hosts_are_named_at_once():
    with pytest.raises(UserError, match=r"^no host one, two in"):
        hosts.select(["one", "station", "two"])
