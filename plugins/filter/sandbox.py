# SPDX-License-Identifier: Apache-2.0
"""The hardening lines of a unit: everything is closed, and a template shows only what its unit needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: sandbox
short_description: Write the hardening lines of a systemd unit
description:
  - Takes what a unit needs, as directives of systemd.exec(5) and systemd.resource-control(5), and returns the lines of
    its sandbox, one a line and sorted. What is not named is closed.
  - A value replaces the closed one. C(none) leaves the directive out. A list becomes one line an entry.
options:
  _input:
    description: Directives that differ from the closed ones.
    type: dict
    required: true
"""

EXAMPLES = r"""
# A server on loopback that compiles as it runs.
lines: "{{ {'IPAddressAllow': 'localhost', 'MemoryDenyWriteExecute': none} | sandbox }}"
"""

RETURN = r"""
_value:
  description: The lines of a [Service] section.
  type: str
"""

# systemd.exec(5); facts of each directive and what it costs: docs/explanation/decisions.md.
CLOSED: Mapping[str, str | tuple[str, ...]] = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "DevicePolicy": "closed",
    "IPAddressDeny": "any",
    "KeyringMode": "private",
    "LockPersonality": "true",
    "MemoryDenyWriteExecute": "true",
    "NoNewPrivileges": "true",
    "PrivateDevices": "true",
    "PrivateTmp": "true",
    "PrivateUsers": "true",
    "ProcSubset": "pid",
    "ProtectClock": "true",
    "ProtectControlGroups": "true",
    "ProtectHome": "true",
    "ProtectHostname": "true",
    "ProtectKernelLogs": "true",
    "ProtectKernelModules": "true",
    "ProtectKernelTunables": "true",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "true",
    "RestrictAddressFamilies": "AF_UNIX",
    "RestrictNamespaces": "true",
    "RestrictRealtime": "true",
    "RestrictSUIDSGID": "true",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": ("@system-service", "~@privileged @resources"),
    "UMask": "0077",
}
# What a unit may need beside: not closed by a line, opened or set by one.
FURTHER = frozenset(
    {
        *("BindPaths", "BindReadOnlyPaths", "DeviceAllow", "InaccessiblePaths", "IPAddressAllow", "NoExecPaths"),
        *("ExecPaths", "PrivateIPC", "PrivateMounts", "PrivateNetwork", "ReadOnlyPaths", "ReadWritePaths"),
        *("SupplementaryGroups", "TemporaryFileSystem"),
    }
)


def sandbox(needs: Mapping[str, Any]) -> str:
    """Return the hardening lines of a unit.

    Args:
        needs: directive -> value that replaces the closed one; None leaves it out, a list is one line an entry.

    Raises:
        AnsibleFilterError: a directive is unknown, or a value says what the closed one says already.
    """
    unknown = sorted(needs.keys() - CLOSED.keys() - FURTHER)
    if unknown:
        raise AnsibleFilterError(
            f"sandbox: {', '.join(unknown)} is no directive of a sandbox; write it below the filter"
        )
    return "\n".join(line for name in sorted({*CLOSED, *needs}) for line in _lines(name, needs))


def _lines(name: str, needs: Mapping[str, Any]) -> Iterator[str]:
    value = needs[name] if name in needs else CLOSED[name]
    if name in needs and name in CLOSED and _entries(value) == _entries(CLOSED[name]):
        raise AnsibleFilterError(f"sandbox: {name} is {value} anyhow; leave it out")
    yield from (f"{name}={entry}" for entry in _entries(value))


def _entries(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, (list, tuple)):
        return [str(entry) for entry in value]
    return [str(value)]


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"sandbox": sandbox}
