# SPDX-License-Identifier: Apache-2.0
"""Which CPUs of a host are isolated, which keep house, and which service gets which: from its hardware and one wish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fleet.hardware.isolation import divide

DOCUMENTATION = r"""
name: cpu_sets
short_description: Divide the CPUs of a host into isolated and housekeeping ones, or say why that is not possible
description:
  - Takes the hardware.cpu of a host and the wish cpu_isolation, and returns CPU lists as the kernel writes them.
  - Whole physical cores only; CPU 0 is never isolated; core classes are not mixed unasked; modules of four efficiency
    cores stay whole.
  - A problem is one line. While there is one, nothing is isolated.
options:
  _input:
    description: The hardware.cpu of a host (inventory/argument_specs.yml).
    type: dict
    required: true
  wish:
    description: The cpu_isolation of the host (inventory/argument_specs.yml); an empty one isolates nothing.
    type: dict
    required: true
"""

EXAMPLES = r"""
# 6 performance cores with two threads each, then 8 efficiency cores: isolated is 2-11, housekeeping is 0-1,12-19
sets: "{{ hardware.cpu | cpu_sets({'housekeeping_cores': 1}) }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary of CPU lists - isolated, housekeeping, irq, idle (sibling threads that nobody uses), offline (what
      of those to take offline) - with services (name to CPU list) and problems (lines). An empty string means none.
  type: dict
"""


def cpu_sets(cpu: Mapping[str, Any], wish: Mapping[str, Any]) -> dict[str, Any]:
    """Divide the CPUs of a host.

    Args:
        cpu: the `hardware.cpu` of the host.
        wish: its `cpu_isolation`.

    Returns:
        CPU lists by use, `services` by name and `problems`, one line each.
    """
    return divide(cpu, wish).as_dict()


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"cpu_sets": cpu_sets}
