# SPDX-License-Identifier: Apache-2.0
"""The kernel command line that a host's profile, CPU sets and huge pages ask for, and what contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roles.kernel.module_utils.kernel_line import Options, line
from roles.kernel.module_utils.kernel_refusals import refusals

DOCUMENTATION = r"""
name: kernel_arguments
short_description: List the kernel arguments of a host
description:
  - Takes a profile (none, cloud, inference, trading, hft) and returns the arguments in the order of the command line.
  - kernel_arguments_problems takes the same and the hardware, and returns what is wrong, one line each.
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
  hardware:
    description: The host's hardware; only kernel_arguments_problems takes it.
    type: dict
"""

EXAMPLES = r"""
line: >-
  {{ kernel_profile | kernel_arguments(cpu_sets, {
       'hugepages': kernel_hugepages, 'transparent_hugepages': kernel_transparent_hugepages, 'flavour': kernel_flavour,
       'arguments': lookup('declared', 'kernel_arguments')[inventory_hostname]
                    | combine({'kernel_arguments': kernel_arguments})
     }) }}
problems: "{{ kernel_profile | kernel_arguments_problems(cpu_sets, options, hardware) }}"
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


def kernel_arguments_problems(
    profile: str, cpu_sets: Mapping[str, Any], options: Mapping[str, Any], hardware: Mapping[str, Any]
) -> list[str]:
    """Return what is wrong with a host's kernel arguments and huge pages, one line each.

    Args:
        profile: what the host is for.
        cpu_sets: its CPU sets.
        options: as for kernel_arguments.
        hardware: the host's hardware.
    """
    return [refusal.text for refusal in refusals(str(profile), cpu_sets, Options.read(options), hardware)]


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"kernel_arguments": kernel_arguments, "kernel_arguments_problems": kernel_arguments_problems}
