# SPDX-License-Identifier: Apache-2.0
"""The fleet as pyinfra sees it: the Linux hosts of the inventory folder that INVENTORY names, and how to log in."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

# Ansible tries at its import what a name server takes, and gevent, in which pyinfra runs, prints that it failed.
_HUB = gevent.get_hub()
_HUB.NOT_ERROR, _errors = (*_HUB.NOT_ERROR, OSError), _HUB.NOT_ERROR
from fleet.model.model import Fleet  # noqa: E402
from fleet.paths import PROJECT  # noqa: E402

_HUB.NOT_ERROR = _errors

# Ansible's variable -> pyinfra's.
_NAMES = {
    "ansible_host": "ssh_hostname",
    "ansible_port": "ssh_port",
    "ansible_user": "ssh_user",
    "ansible_ssh_private_key_file": "ssh_key",
    "ansible_become_password": "_sudo_password",
}
_KNOWN_HOSTS = "UserKnownHostsFile="


def login(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return how pyinfra reaches a host.

    Args:
        settings: the host's variables, rendered.
    """
    found = {new: settings[old] for old, new in _NAMES.items() if settings.get(old)}
    for word in shlex.split(str(settings.get("ansible_ssh_common_args") or "")):
        if word.startswith(_KNOWN_HOSTS):
            found["ssh_known_hosts_file"] = str(Path(word.removeprefix(_KNOWN_HOSTS)).resolve())
    # A key that nobody vouched for is refused, as Ansible's configuration does.
    return found | {"ssh_strict_host_key_checking": "yes"}


def fleet_hosts(inventory: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return name and log-in of each Linux host."""
    fleet = Fleet.load(inventory, PROJECT)
    macs = fleet.members.get("macs", ())
    return [(host, login(fleet.settings(host))) for host in fleet.managed if host not in macs]


linux = fleet_hosts(PROJECT / os.environ.get("INVENTORY", "inventory/lab"))
