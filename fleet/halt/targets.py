# SPDX-License-Identifier: Apache-2.0
"""Whom the kill switch halts and how it logs in, as far as the inventory can be read: one bad host stops no other."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fleet.model.model import Fleet

CONNECT_SECONDS = 5
# The first of two equal options counts, so these hold whatever the inventory says. A shared connection may be dead.
OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": str(CONNECT_SECONDS),
    "ServerAliveInterval": "3",
    "ServerAliveCountMax": "2",
    "ControlMaster": "no",
    "ControlPath": "none",
    "StrictHostKeyChecking": "yes",
}
WORDS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
FLAGS = {
    ("ansible_port", "ansible_ssh_port"): "-p",
    ("ansible_ssh_private_key_file", "ansible_private_key_file"): "-i",
    ("ansible_user", "ansible_ssh_user"): "-l",
}
ROLE = "services"  # of the hosts that trade


@dataclass(frozen=True)
class Target:
    """One host.

    Attributes:
        name: in the inventory.
        command: the words before the script, which lead to a shell there; empty if there is no way to it.
        password: for sudo there, if the inventory has one that can be read.
        trades: whether the inventory runs services there.
        notes: what of the host could not be read.
    """

    name: str
    command: tuple[str, ...]
    password: str | None = None
    trades: bool = False
    notes: tuple[str, ...] = ()


def targets(fleet: Fleet, limit: str = "") -> list[Target]:
    """Return every host that may run services, those that trade first.

    Args:
        fleet: the inventory, read as far as it can be.
        limit: hosts, groups and patterns as Ansible takes them; empty for all.
    """
    chosen = fleet.matching(limit) if limit else frozenset(fleet.hosts)
    found = [_target(fleet, host) for host in fleet.managed if host in chosen and not _is_mac(fleet, host)]
    return sorted(found, key=lambda target: not target.trades)


def _is_mac(fleet: Fleet, host: str) -> bool:
    # The system decides, not the group: a Linux host in the wrong group is halted, too.
    return str(_Host(fleet, host).get("operating_system") or "").startswith("macos")


class _Host:
    """The variables of one host, each of which may be broken."""

    def __init__(self, fleet: Fleet, host: str) -> None:
        self.notes: list[str] = []
        self._fleet, self._host = fleet, host

    def get(self, *keys: str) -> Any:
        """Return the first that is set and can be rendered."""
        for key in keys:
            try:
                settings = self._fleet.settings(self._host)
                if settings.get(key) not in {None, ""}:
                    return settings[key]
            except Exception as error:  # noqa: BLE001 - whatever it is, the other hosts are to be halted
                reason = " ".join(str(error).split())
                self.notes.append(reason if key in reason else f"{key}: {reason}")
        return None


def _target(fleet: Fleet, name: str) -> Target:
    host = _Host(fleet, name)
    become = host.get("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
    command = (*_way(host, name), *_sudo(host, become))
    trades = name in fleet.members.get("agents", ()) or _has_role(fleet, name)
    return Target(name, command, None if become is None else str(become), trades, tuple(dict.fromkeys(host.notes)))


def _has_role(fleet: Fleet, host: str) -> bool:
    try:
        return ROLE in fleet.roles(host)
    except Exception:  # noqa: BLE001 - plays that cannot be read: every host may trade
        return True


def _way(host: _Host, name: str) -> Iterator[str]:
    if str(host.get("ansible_connection") or "ssh").rpartition(".")[2] == "local":
        return
    yield "ssh"
    for option, value in OPTIONS.items():
        yield from ("-o", f"{option}={value}")
    for keys, flag in FLAGS.items():
        value = host.get(*keys)
        if value is not None:
            yield from (flag, str(value))
    for key in WORDS:
        yield from shlex.split(str(host.get(key) or ""))
    # After it a word is never an option, whatever the inventory has for an address.
    yield from ("--", str(host.get("ansible_host", "ansible_ssh_host") or name))


def _sudo(host: _Host, become: Any) -> tuple[str, ...]:
    if host.get("ansible_user", "ansible_ssh_user") == "root":
        return ()
    return ("sudo", "-n") if become is None else ("sudo", "-S", "-p", "''")
