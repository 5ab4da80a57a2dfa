# SPDX-License-Identifier: Apache-2.0
"""A small project of two roles and a healthy inventory; each test breaks one thing in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.parsing.vault import VaultLib, VaultSecret

from fleet import check as checks
from fleet.model.model import Fleet
from fleet.paths import PROJECT

PASSWORD = b"correct horse battery staple"
FILES = {
    "playbooks/site.yml": """
- name: Database
  ansible.builtin.import_playbook: data.yml
- name: "Kernel: boot line"
  hosts: all:!macs
  roles: [{role: boot, tags: [boot]}]
""",
    "playbooks/data.yml": """
- name: "Data: database"
  hosts: database
  roles: [store]
""",
    "roles/store/defaults/main.yml": """
store_port: 5432
store_admin_port: 0
store_mode: safe
store_cpus: ""
store_password: "{{ vault_store }}"
store_sysctl: {vm.swappiness: 1}
store_kernel_arguments: []
store_distribution: "{{ ansible_facts['distribution'] }}"
""",
    "roles/store/meta/argument_specs.yml": """
argument_specs:
  main:
    options:
      store_port: {type: int, default: 5432, description: Port. It is for clients.}
      store_admin_port: {type: int, default: 0, description: Port of the administrator.}
      store_mode: {type: str, choices: [safe, fast], default: safe, description: How it writes.}
      store_cpus: {type: str, default: "", description: CPUs.}
      store_password: {type: str, description: Password.}
      store_sysctl: {type: dict, description: Kernel parameters.}
      store_kernel_arguments: {type: list, elements: str, description: Kernel arguments.}
      store_distribution: {type: str, description: Needs facts.}
""",
    "roles/boot/defaults/main.yml": """
boot_kernel_arguments: [isolcpus=2-3]
boot_sysctl: {vm.dirty_ratio: 10}
boot_port: 0
boot_optional: [{name: a, size: 1}]
""",
    "roles/boot/meta/argument_specs.yml": """
argument_specs:
  main:
    options:
      boot_kernel_arguments: {type: list, elements: str, description: Kernel arguments.}
      boot_sysctl: {type: dict, description: Kernel parameters.}
      boot_port: {type: int, description: Port.}
      boot_optional:
        type: list
        elements: dict
        description: Things.
        options:
          name: {type: str, description: Name.}
          size: {type: int, description: Size.}
""",
    "inventory/main/hosts.yml": """
all:
  hosts:
    alpha: {ansible_host: 10.0.0.1}
    beta: {ansible_host: 10.0.0.2}
    gamma: {ansible_host: 10.0.0.3}
  children:
    database: {hosts: {alpha: }}
    gpu: {hosts: {beta: }}
    macs: {hosts: {gamma: }}
""",
    "inventory/main/group_vars/all.yml": """
ansible_user: ops
fleet_groups_without_play:
  gpu: drivers
  macs: settings
""",
    "inventory/main/group_vars/database.yml": """
store_mode: fast
""",
    "inventory/main/host_vars/alpha.yml": """
operating_system: debian-13
store_cpus: "2-5"
hardware:
  memory_gib: 16
  cpu:
    model: hybrid
    performance_cpus: "0-7"
    efficiency_cpus: "8-11"
    threads_per_core: 2
""",
    "inventory/main/host_vars/beta.yml": """
operating_system: debian-13
hardware:
  memory_gib: 16
  cpu: {model: plain, performance_cpus: "0-3"}
  gpus: [{model: card, architecture: ada, vram_gib: 8}]
""",
    "inventory/main/host_vars/gamma.yml": """
operating_system: macos
hardware: {memory_gib: 16, cpu: {model: other}}
""",
    "inventory/secrets.yml.example": "all: {vars: {vault_store: change-me}}\n",
}


class Sandbox:
    """The project in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inventory = root / "inventory" / "main"
        for name, text in FILES.items():
            self.write(name, text.lstrip())
        shutil.copy(PROJECT / "inventory" / "argument_specs.yml", root / "inventory")
        self.write("inventory/main/.vault-password", PASSWORD.decode())
        self.encrypt("all: {vars: {vault_store: a-secret-of-its-own}}\n")

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def encrypt(self, text: str) -> None:
        self.encrypt_as("inventory/main/secrets.yml", text)

    def encrypt_as(self, name: str, text: str) -> None:
        vault = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(PASSWORD))])
        self.write(name, vault.encrypt(text).decode())

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def add(self, name: str, text: str) -> None:
        self.write(name, (self.root / name).read_text() + text)

    def fleet(self, secrets: Path | None = None) -> Fleet:
        return Fleet.load(self.inventory, self.root, secrets)

    def lines(self, secrets: Path | None = None) -> list[str]:
        """Return what the check prints, with paths below inventory/main."""
        found = [problem.text(self.root) for problem in checks.problems(self.fleet(secrets))]
        return [line.removeprefix("inventory/main/") for line in found]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    return Sandbox(tmp_path.resolve())


@pytest.fixture
def refused(sandbox: Sandbox) -> Callable[..., str]:
    """Return `refused(start, *words)`: exactly one line is printed, begins so and holds the words; it is returned."""

    def check(start: str, *words: str) -> str:
        lines = sandbox.lines()
        assert len(lines) == 1, lines
        assert lines[0].startswith(start), lines[0]
        for word in words:
            assert word in lines[0]
        return lines[0]

    return check
