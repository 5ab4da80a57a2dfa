# SPDX-License-Identifier: Apache-2.0
"""The way to a host is there: the private key, and the plugin that connects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.loader import connection_loader

from fleet.model.model import Fleet
from fleet.model.problems import Problem
from fleet.model.settings import UnrenderableError

KEY_FILES = ("ansible_ssh_private_key_file", "ansible_private_key_file")


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield keys and plugins that this machine does not have."""
    for host in fleet.managed:
        yield from _key(fleet, host)
        yield from _plugin(fleet, host)


def _value(fleet: Fleet, host: str, key: str) -> Any:
    try:
        return fleet.settings(host).get(key)
    except UnrenderableError:
        return None  # the values check reports it


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


def _plugin(fleet: Fleet, host: str) -> Iterator[Problem]:
    name = _value(fleet, host, "ansible_connection")
    if isinstance(name, str) and name != "smart" and not connection_loader.has_plugin(name):
        right = "write ssh or local, or install the collection that has it"
        place = fleet.place(host, "ansible_connection")
        yield Problem(place, host, "ansible_connection", f"Ansible has no connection plugin {name!r}", right)
