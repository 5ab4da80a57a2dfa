# SPDX-License-Identifier: Apache-2.0
"""Which CPUs serve interrupts on a host: the configuration of the tool that applies it, and what the host lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fleet.hardware.cpus import compose, parse

DOCUMENTATION = r"""
name: irq_settings
short_description: Turn the inventory's words about interrupts into the configuration of irq-affinity
description:
  - C(irq_config) is the content of irq.json.
  - C(irq_banned) lists the CPUs that irqbalance leaves alone. C(irq_host_problems) compares with what a host has.
options:
  _input:
    description: >-
      The list I(irq_devices); for C(irq_banned) the CPUs that serve interrupts, for C(irq_host_problems) what the host
      said.
    type: raw
    required: true
"""

EXAMPLES = r"""
content: "{{ irq_devices | irq_config(irq_cpus, cpu_sets, hardware) | to_nice_json }}"
"""

RETURN = r"""
_value:
  description: A list of lines, a dictionary, or a CPU list.
  type: raw
"""

USE = "use:"
Rules = Sequence[Mapping[str, Any]]


def _known(hardware: Mapping[str, Any]) -> frozenset[int]:
    cpu = hardware["cpu"]
    return parse(str(cpu.get("performance_cpus") or "")) | parse(str(cpu.get("efficiency_cpus") or ""))


def irq_config(rules: Rules, cpus: str, cpu_sets: Mapping[str, Any], hardware: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of irq-affinity; `use:` becomes the PCI addresses of the ports with that use.

    Args:
        rules: `irq_devices`.
        cpus: `irq_cpus`.
        cpu_sets: the CPU sets of the host.
        hardware: what the host is made of.
    """
    entries = []
    for rule in rules:
        device = str(rule["device"])
        match = [device]
        if device.startswith(USE):
            ports = [nic for nic in hardware.get("nics", ()) if nic["use"] == device.removeprefix(USE)]
            match = [f"pci:{str(nic.get('pci_slot') or nic['pci_id']).lower()}" for nic in ports]
        entries.append({"match": match, "cpus": str(rule.get("cpus") or cpus), "spread": bool(rule.get("spread"))})
    return {"isolated": str(cpu_sets.get("isolated", "")), "cpus": str(cpus), "rules": entries}


def irq_banned(cpus: str, hardware: Mapping[str, Any]) -> str:
    """Return the CPUs that irqbalance leaves alone: all that do not serve interrupts; none when any may.

    Args:
        cpus: `irq_cpus`.
        hardware: what the host is made of.
    """
    wanted = parse(str(cpus))
    return compose(_known(hardware) - wanted) if wanted else ""


def irq_host_problems(said: str, config: Mapping[str, Any]) -> list[str]:
    """Compare the configuration with what a host has.

    Args:
        said: the host's online CPUs in the first line, then the uevent files of its PCI and network devices.
        config: what `irq_config` returned.
    """
    online_text, _, rest = said.partition("\n")
    online = parse(online_text)
    words = [line.partition("=") for line in rest.splitlines()]
    slots = [value.lower() for key, _, value in words if key == "PCI_SLOT_NAME"]
    identities = {value.lower() for key, _, value in words if key == "PCI_ID"}
    drivers = {value for key, _, value in words if key == "DRIVER"}
    present = {"pci": {*slots, *identities}, "driver": drivers}
    problems = []
    for rule in config["rules"]:
        for pattern in rule["match"]:
            kind, _, value = pattern.partition(":")
            if value not in present.get(kind, {value}):
                found = ", ".join(sorted(drivers) if kind == "driver" else [*slots, *sorted(identities)])
                problems.append(f"irq_devices: this machine has no {pattern}, it has {found}")
        if not parse(rule["cpus"]) & online:
            problems.append(f"irq_devices: no CPU of {rule['cpus']} is online, only {online_text} are")
    if config["cpus"] and not parse(config["cpus"]) & online:
        problems.append(f"irq_cpus: no CPU of {config['cpus']} is online, only {online_text} are")
    return problems


class FilterModule:
    """Makes the filters known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "irq_config": irq_config,
            "irq_banned": irq_banned,
            "irq_host_problems": irq_host_problems,
        }
