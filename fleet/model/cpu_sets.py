# SPDX-License-Identifier: Apache-2.0
"""The CPU sets of a host, for the rules that depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.hardware.cpus import CpuListError
from fleet.hardware.isolation import CpuSets, Machine, divide
from fleet.model.rules import Judged
from fleet.model.settings import UnrenderableError

WISH = "cpu_isolation"


def cpu_sets(settings: Mapping[str, Any], hardware: Mapping[str, Any]) -> CpuSets:
    """Return what cpu_isolation makes of a host; nothing at all where its CPUs are described wrongly.

    Args:
        settings: the variables of the host, as a rule gets them.
        hardware: what the host is made of.
    """
    wish = settings.get(WISH)  # as a rule gets it, with the defaults of all its keys: an empty one would isolate
    try:
        Machine.of(hardware["cpu"])
        if isinstance(settings, Judged):
            wish = settings.as_written(WISH)
    except (CpuListError, KeyError, UnrenderableError):
        return CpuSets()
    return divide(hardware["cpu"], wish if isinstance(wish, Mapping) else {})
