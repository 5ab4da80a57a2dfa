# SPDX-License-Identifier: Apache-2.0
"""The kernel command line that a host's profile, CPU sets and huge pages ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roles.kernel.policy.line import Options, line

DOCUMENTATION = r"""
name: kernel_arguments
short_description: List the kernel arguments of a host
description:
  - Takes a profile (none, cloud, inference, trading, hft) and returns the arguments in the order of the command line.
options:
  _input:
    description: The profile.
    type: str
    required: true
  cpu_sets:
    description: The host's cpu_sets (filter cpu_sets).
    type: dict
    required: true
  options:
    description:
      - A dictionary of hugepages (size, count, node), transparent_hugepages, flavour (generic, realtime) and arguments
        (owner to list; the owner is a role, or kernel_arguments for the policy).
    type: dict
    default: {}
"""

EXAMPLES = r"""
line: >-
  {{ kernel_profile | kernel_arguments(cpu_sets, {
       'hugepages': kernel_hugepages, 'transparent_hugepages': kernel_transparent_hugepages, 'flavour': kernel_flavour,
       'arguments': lookup('declared', 'kernel_arguments')[inventory_hostname]
                    | combine({'kernel_arguments': kernel_arguments})
     }) }}
"""

RETURN = r"""
_value:
  description: The arguments, such as isolcpus=managed_irq,domain,2-5.
  type: list
  elements: str
"""


def kernel_arguments(profile: str, cpu_sets: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> list[str]:
    """Return the kernel arguments of a host.

    Args:
        profile: what the host is for.
        cpu_sets: its CPU sets.
        options: huge pages, further arguments by owner, flavour; see DOCUMENTATION.
    """
    return [chosen.text for chosen in line(str(profile), cpu_sets, Options.read(options or {}))]


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"kernel_arguments": kernel_arguments}
