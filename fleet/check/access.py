# SPDX-License-Identifier: Apache-2.0
"""The way to a host does not contradict itself: port, key, groups that may log in, and the plugin that connects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.loader import connection_loader

from fleet.model.model import Fleet
from fleet.model.problems import Problem
from fleet.model.settings import UnrenderableError

SSH_PORT = 22
KEY_FILES = ("ansible_ssh_private_key_file", "ansible_private_key_file")


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield settings after which the next run would not get in."""
    written = {item.key for item in fleet.definitions}
    for host in fleet.managed:
        yield from _port(fleet, host, written)
        yield from _key(fleet, host)
        yield from _groups(fleet, host)
        yield from _plugin(fleet, host)


def _value(fleet: Fleet, host: str, key: str) -> Any:
    try:
        return fleet.settings(host).get(key)
    except UnrenderableError:
        return None  # the values check reports it


def _port(fleet: Fleet, host: str, written: set[str]) -> Iterator[Problem]:
    if "ssh_port" not in written or "ansible_port" in fleet.settings(host):
        return
    port, second = _value(fleet, host, "ssh_port"), _value(fleet, host, "ssh_transition_port")
    if isinstance(port, int) and SSH_PORT not in {port, second} and "ssh" in fleet.roles(host):
        wrong = f"sshd will listen on {port}, and Ansible connects to {SSH_PORT}"
        right = f"set ssh_transition_port: {SSH_PORT} for the move, and ansible_port: {port} after it"
        yield Problem(fleet.place(host, "ssh_port"), host, "ssh_port", wrong, right)


def _key(fleet: Fleet, host: str) -> Iterator[Problem]:
    for key in KEY_FILES:
        name = _value(fleet, host, key)
        if not isinstance(name, str) or not name:
            continue
        file = (fleet.project_folder / Path(name).expanduser()).resolve()
        # A key inside the project is made by a verb, and the inventory is checked before.
        if not file.exists() and not file.is_relative_to(fleet.project_folder.resolve()):
            right = "name a private key of this machine, or none where the agent has it"
            yield Problem(fleet.place(host, key), host, key, f"{name} does not exist", right)


def _groups(fleet: Fleet, host: str) -> Iterator[Problem]:
    allowed, own = _value(fleet, host, "ssh_allow_groups"), _value(fleet, host, "base_admin_groups")
    if not (isinstance(allowed, list) and isinstance(own, list) and allowed and "ssh" in fleet.roles(host)):
        return
    user = _value(fleet, host, "base_admin_user")
    if not {str(group) for group in allowed} & {*map(str, own), str(user)}:
        wrong = f"{user} is in none of these groups (base_admin_groups: {', '.join(map(str, own))})"
        right = "add one of its groups, or sshd locks the administrator out"
        yield Problem(fleet.place(host, "ssh_allow_groups"), host, "ssh_allow_groups", wrong, right)


def _plugin(fleet: Fleet, host: str) -> Iterator[Problem]:
    name = _value(fleet, host, "ansible_connection")
    if isinstance(name, str) and name != "smart" and not connection_loader.has_plugin(name):
        right = "write ssh or local, or install the collection that has it"
        place = fleet.place(host, "ansible_connection")
        yield Problem(place, host, "ansible_connection", f"Ansible has no connection plugin {name!r}", right)
