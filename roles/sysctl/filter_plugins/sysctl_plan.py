# SPDX-License-Identifier: Apache-2.0
"""Merge the kernel parameters that roles and policy declare for a host: one owner a key, no contradictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roles.sysctl.library.sysctl_applied import canonical, normalise

DOCUMENTATION = r"""
name: sysctl_plan
short_description: Merge declared kernel parameters into one sorted list, or say why that is not possible
description:
  - Takes the declarations of one host, owner -> key -> value, and returns a dictionary with entries and problems.
  - A problem is one line - two owners of a key, a contradiction between keys, a key that no supported kernel has.
options:
  _input:
    description: Owner -> key -> value.
    type: dict
    required: true
"""

EXAMPLES = r"""
plan: "{{ {'redis': {'vm.overcommit_memory': 1}} | sysctl_plan }}"
"""

RETURN = r"""
_value:
  description: A dictionary with entries (key, value and owner, sorted by key) and problems (lines).
  type: dict
"""

_DEBUGFS = "the kernel moved it to debugfs in 5.13 (commit 8a99b6833c88), and it does nothing for pinned threads"
# Keys that guides still name and that no supported kernel has.
GONE = {
    "kernel.sched_migration_cost_ns": _DEBUGFS,
    "kernel.sched_min_granularity_ns": _DEBUGFS,
    "kernel.sched_wakeup_granularity_ns": _DEBUGFS,
    "kernel.sched_latency_ns": _DEBUGFS,
    "kernel.sched_nr_migrate": _DEBUGFS,
    "kernel.sched_tunable_scaling": _DEBUGFS,
    "net.ipv4.tcp_tw_recycle": "the kernel removed it in 4.12, it broke clients behind address translation",
}
# vm.rst: a ratio and its bytes counterpart exclude each other, writing one zeroes the other.
EXCLUSIVE = (
    ("vm.dirty_ratio", "vm.dirty_bytes"),
    ("vm.dirty_background_ratio", "vm.dirty_background_bytes"),
)
# domain_dirty_limits() silently halves a background threshold that is not below the foreground one.
ORDERED = (
    ("vm.dirty_background_ratio", "vm.dirty_ratio"),
    ("vm.dirty_background_bytes", "vm.dirty_bytes"),
)

Declared = Mapping[str, Mapping[str, Any]]


def _claims(declared: Declared) -> dict[str, list[tuple[str, Any]]]:
    """Return who claims each key, with the value."""
    claims: dict[str, list[tuple[str, Any]]] = {}
    for owner in sorted(declared):
        for key, value in declared[owner].items():
            claims.setdefault(canonical(key), []).append((owner, value))
    return claims


def _value_problem(key: str, owner: str, value: object) -> str | None:
    """Say what is wrong with a single value."""
    if isinstance(value, bool):
        return f"{key} ({owner}): {str(value).lower()} is not a kernel value, write {int(value)}"
    if not isinstance(value, (int, str)) or normalise(value) == "":
        return f"{key} ({owner}): {value!r} is not a kernel value, write a number or words"
    return None


def _pair_problems(values: Mapping[str, str]) -> list[str]:
    """Name the contradictions between the values of two keys."""
    problems = [
        f"{ratio} and {size} exclude each other (writing one zeroes the other): keep one of them"
        for ratio, size in EXCLUSIVE
        if ratio in values and size in values
    ]
    for low, high in ORDERED:
        both = values.get(low, ""), values.get(high, "")
        if all(value.isdigit() for value in both) and int(both[0]) >= int(both[1]):
            problems.append(
                f"{low} = {both[0]} is not below {high} = {both[1]}: the kernel would halve it without a word"
            )
    return problems


def sysctl_plan(declared: Declared) -> dict[str, Any]:
    """Merge the declarations of one host.

    Args:
        declared: owner -> key -> value.

    Returns:
        `entries`, a list of key, value and owner sorted by key, and `problems`, one line each.
    """
    entries: list[dict[str, str]] = []
    problems: list[str] = []
    for key, claims in sorted(_claims(declared).items()):
        owner, value = claims[0]
        if len(claims) > 1:
            problems.append(f"{key} has two owners, {' and '.join(name for name, _ in claims)}: keep it in one")
        if key in GONE:
            problems.append(f"{key} ({owner}) does not exist: {GONE[key]}; remove it")
        wrong = _value_problem(key, owner, value)
        if wrong:
            problems.append(wrong)
        entries.append({"key": key, "value": normalise(value), "owner": owner})
    problems += _pair_problems({entry["key"]: entry["value"] for entry in entries})
    return {"entries": entries, "problems": problems}


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"sysctl_plan": sysctl_plan}
