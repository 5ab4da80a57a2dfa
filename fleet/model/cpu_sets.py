# SPDX-License-Identifier: Apache-2.0
"""The CPU sets of a host, for the rules that depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.hardware.cpus import CpuListError
from fleet.hardware.isolation import CpuSets, Machine, divide
from fleet.model.settings import UnrenderableError
from fleet.model.view import View

WISH = "cpu_isolation"


def cpu_sets(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> CpuSets:
    """Return what cpu_isolation makes of a host; nothing at all where its CPUs are described wrongly.

    Args:
        settings: the variables of the host, as a rule gets them.
        hardware: what the host is made of.
        fleet: asked for the wish as it is written.
    """
    settings.get(WISH)  # a wish of the wrong shape is refused elsewhere, and what a rule says of it counts no more
    try:
        Machine.of(hardware["cpu"])
        # As a rule gets it, the wish has the defaults of all its keys, and an empty one would isolate.
        wish = fleet.settings(str(settings["inventory_hostname"])).get(WISH)
    except (CpuListError, KeyError, UnrenderableError):
        return CpuSets()
    return divide(hardware["cpu"], wish if isinstance(wish, Mapping) else {})
