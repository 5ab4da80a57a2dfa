# SPDX-License-Identifier: Apache-2.0
"""The way to production as its page prints it, on machines that have only what an installer leaves.

The machines are no hosts of the lab: an inventory outside of the clone names them.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import yaml
from docker.errors import NotFound
from docker.models.containers import Container

from fleet.paths import LAB_INVENTORY, PROJECT
from lab.containers import engine, hosts, image
from tests.unit.docs.test_production_pages import labelled

PAGE = "go-to-production.md"
SAMPLE_KEY = "ssh-ed25519 AAAA... you@desk"
# A cloud image has cloud-init and finds its user-data on a disk or in the network; here they lie where NoCloud looks.
# The engine sets up the container's network.
CLOUD = "datasource_list: [NoCloud]\nnetwork: {config: disabled}\n"
STEPS = ["init --local", "init", "modules --mode=config", "modules --mode=final"]
HARDWARE = {"memory_gib": 1, "cpu": {"model": "container"}}


@dataclass(frozen=True)
class Machine:
    """A machine that was just installed, and the operator's folder for it."""

    container: Container
    name: str
    address: str
    folder: Path

    def inside(self, command: str, **variables: str) -> str:
        """Run a command as root at the console; return what it prints."""
        code, output = hosts.run_inside(self.container, ["sh", "-c", command], variables)
        assert code == 0, output
        return output

    def put(self, path: str, text: str) -> None:
        """Write a file on the machine."""
        self.inside(f'mkdir -p "$(dirname {path})" && echo "$TEXT" | base64 -d > {path}', TEXT=encoded(text))

    @property
    def public_key(self) -> str:
        """Return the operator's public key, made if missing."""
        key = self.folder / "id_ed25519"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        return key.with_suffix(".pub").read_text().strip()

    @property
    def words(self) -> list[str]:
        """Return the options of ssh: the operator's key, and the host key that was read at the console."""
        key = self.inside("cat /etc/ssh/ssh_host_ed25519_key.pub")
        (self.folder / "known_hosts").write_text(f"{self.address} {' '.join(key.split()[:2])}\n")
        known = f"UserKnownHostsFile={self.folder}/known_hosts"
        return ["-i", str(self.folder / "id_ed25519"), "-o", "IdentitiesOnly=yes", "-o", known, "-o", "BatchMode=yes"]

    def log_in(self, command: str) -> str:
        """Run a command on the machine by ssh, as the plays do."""
        words = ["ssh", *self.words, f"ops@{self.address}", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@contextmanager
def booted(client: docker.DockerClient, name: str, address: str, folder: Path) -> Iterator[Machine]:
    """Boot a machine beside the lab's hosts, and remove it."""
    with suppress(NotFound):  # unless a test was killed
        client.containers.get(f"station-lab-{name}").remove(force=True, v=True)
    container = hosts.run(client, image.provide(client, image.default()), name, address, {})
    try:
        hosts.wait_booted(container)
        yield Machine(container, name, address, folder)
    finally:
        container.remove(force=True, v=True)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Machine]:
    """Return a machine with root and without any user."""
    with booted(engine.connect(), "bare", "10.77.0.61", tmp_path) as machine:
        yield machine


@pytest.fixture(scope="module")
def first_booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Return a machine whose cloud-init has done what the page's user-data say."""
    with booted(engine.connect(), "cloudy", "10.77.0.62", tmp_path_factory.mktemp("operator")) as machine:
        data = labelled(PAGE, "user-data").replace(SAMPLE_KEY, machine.public_key)
        assert machine.public_key in data
        machine.put("/etc/cloud/cloud.cfg.d/99-here.cfg", CLOUD)
        machine.put("/var/lib/cloud/seed/nocloud/user-data", data)
        machine.put("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: first\nlocal-hostname: cloudy\n")
        install = "apt-get update -qq && apt-get install -qq -y --no-install-recommends cloud-init"
        machine.inside(install, DEBIAN_FRONTEND="noninteractive")
        machine.inside("cloud-init schema --config-file /var/lib/cloud/seed/nocloud/user-data")
        for step in STEPS:
            machine.inside(f"cloud-init {step}")
        machine.inside("systemctl restart ssh")  # on a machine that boots, it starts after its new host keys are there
        yield machine


@pytest.fixture(scope="module")
def mine(first_booted: Machine) -> Path:
    """Return the operator's inventory, outside of the clone."""
    folder = first_booted.folder / "fleet"
    for name in ("host_vars", "group_vars"):
        (folder / name).mkdir(parents=True)
    name = first_booted.name
    fleet = {
        "hosts": {name: {"ansible_host": first_booted.address}},
        "children": {"containers": {"hosts": {name: None}}, "research": {"hosts": {name: None}}},
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": fleet}))
    about = {"operating_system": "debian-13", "hardware": HARDWARE}
    (folder / "host_vars" / f"{name}.yml").write_text(yaml.safe_dump(about))
    local = yaml.safe_load((LAB_INVENTORY / "local.yml").read_text())["all"]["vars"]
    policy = {
        "base_admin_keys": [first_booted.public_key],
        "base_ca_files": local["lab_ca_files"],
        "node_exporter_disabled_collectors": ["rapl", "timex"],
        "ansible_ssh_private_key_file": str(first_booted.folder / "id_ed25519"),
        "ansible_ssh_common_args": " ".join(first_booted.words[2:]),
    }
    (folder / "group_vars" / "all.yml").write_text(yaml.safe_dump(policy))
    return folder


@pytest.fixture
def make(mine: Path) -> Callable[[str], str]:
    """Return `make(verb)`: what the verb prints about the operator's fleet."""

    def run(verb: str) -> str:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        words = ["make", "--no-print-directory", *verb.split()]
        done = subprocess.run(
            words, cwd=PROJECT, env=plain | {"INVENTORY": str(mine)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_cloud_init_makes_exactly_the_user_that_the_plays_log_in_as(first_booted: Machine) -> None:
    people = "getent passwd | awk -F: '$3 >= 1000 && $3 < 60000 {print $1}'"
    assert first_booted.inside(people).split() == ["ops"]
    assert first_booted.inside("passwd --status ops").split()[1] == "L"
    assert first_booted.log_in("sudo -n id -u; id -un; python3 -c 'print(1)'").split() == ["0", "ops", "1"]
    assert "passwordauthentication no" in first_booted.inside("sshd -T")


def test_the_first_run_provisions_it_and_the_proof_passes(first_booted: Machine, make: Callable[[str], str]) -> None:
    make("secrets")
    assert "1 hosts" in make("check-inventory")
    make("check")
    make("site")
    assert "passed" in make("verify")
    assert "permitrootlogin no" in first_booted.inside("sshd -T")
    assert first_booted.log_in("hostname").strip() == first_booted.name


def test_the_script_gives_a_machine_that_came_with_root_the_user_for_the_plays(bare: Machine) -> None:
    script = (PROJECT / "docs/how-to/make-ops.sh").read_text()
    bare.put("/root/make-ops.sh", script)
    for _ in range(2):
        said = bare.inside('sh /root/make-ops.sh "$KEY"', KEY=bare.public_key)
        assert "ops can log in with this key: 256 SHA256:" in said
        assert bare.log_in("sudo -n id -u; id -un; cat .ssh/authorized_keys").split("\n", 2) == [
            "0",
            "ops",
            f"{bare.public_key}\n",
        ]
