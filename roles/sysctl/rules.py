# SPDX-License-Identifier: Apache-2.0
"""What the role sysctl refuses: two owners of a key, contradictions, and what no kernel takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.model.rules import Refusal
from fleet.model.view import View
from roles.sysctl.module_utils.sysctl_keys import canonical, normalise

POLICY = ("sysctl_settings", "sysctl_tuning")
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
_LINES = Path(__file__).with_name("known_keys.txt").read_text(encoding="ascii").splitlines()
KNOWN = frozenset(line for line in _LINES if not line.startswith("#"))
# How alike two names are before one is a misspelt form of the other (difflib's ratio).
ALIKE = 0.88
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


def sysctl_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot be applied.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: what the other roles of the host declare.
    """
    roles = fleet.declared("sysctl", str(settings["inventory_hostname"]))
    own = {key: settings[key] for key in POLICY}
    yield from refusals({f"{role}_sysctl": keys for role, keys in roles.items()} | own)


def refusals(declared: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield what is wrong with the declarations of one host: variable -> key -> value."""
    claims: dict[str, list[tuple[str, object, object]]] = {}
    for variable, keys in declared.items():
        for key, value in keys.items() if isinstance(keys, Mapping) else ():
            claims.setdefault(canonical(str(key)), []).append((variable, key, value))
    for key, claimed in sorted(claims.items()):
        variable, written, value = claimed[-1]
        place = f"{variable}.{written}"
        if len(claimed) > 1:
            right = "keep it in one of them, even when the values agree"
            yield Refusal(place, f"sysctl key {key} is claimed by {claimed[0][0]} too", right)
        if key in GONE:
            yield Refusal(place, f"does not exist: {GONE[key]}", "remove it")
        elif key not in KNOWN:
            for near in difflib.get_close_matches(key, KNOWN, n=1, cutoff=ALIKE):
                yield Refusal(place, "no kernel has this key", f"did you mean {near}?")
        yield from _value(place, value)
    yield from _pairs({key: claimed[-1] for key, claimed in claims.items()})


def _value(place: str, value: object) -> Iterator[Refusal]:
    if isinstance(value, bool):
        yield Refusal(place, f"{str(value).lower()} is not a kernel value", f"write {int(value)}")
    elif not isinstance(value, (int, str)) or normalise(value) == "":
        yield Refusal(place, f"{value!r} is not a kernel value", "write a number or words")


def _pairs(claims: Mapping[str, tuple[str, object, object]]) -> Iterator[Refusal]:
    """Name the contradictions between the values of two keys."""
    for ratio, size in EXCLUSIVE:
        if ratio in claims and size in claims:
            variable, written, _ = claims[size]
            wrong = f"{ratio} and {size} exclude each other, writing one zeroes the other"
            yield Refusal(f"{variable}.{written}", wrong, "keep one of them")
    for low, high in ORDERED:
        if low in claims and high in claims:
            below, above = (normalise(claims[key][2]) for key in (low, high))
            if below.isdigit() and above.isdigit() and int(below) >= int(above):
                variable, written, _ = claims[low]
                wrong = f"{below} is not below {high} = {above}, so the kernel would halve it without a word"
                yield Refusal(f"{variable}.{written}", wrong, f"set it below {above}")
