# SPDX-License-Identifier: Apache-2.0
"""What the role kernel refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model import forms
from fleet.model.cpu_sets import cpu_sets
from fleet.model.rules import Refusal
from fleet.model.view import View
from roles.kernel.module_utils.kernel_words import REALTIME
from roles.kernel.policy.line import Options
from roles.kernel.policy.refusals import refusals

# A shorter guard would reboot under the judge, who waits ten minutes for units (kernel_boot_host.SETTLE_SECONDS).
CONFIRM_MINUTES = (15, 120)
# The slowest idle state wakes up in some milliseconds; more limits nothing.
IDLE_LATENCY_US = (0, 1_000_000)
RELEASE = re.compile(r"\d+\.\d+[A-Za-z0-9.+~_-]*")


def kernel_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: what the host is made of; CPUs, memory and GPUs count here.
        fleet: asked for the arguments that the host's roles declare.
    """
    sets = cpu_sets(settings, hardware)
    for refusal in sets.refusals:
        key = f"cpu_isolation.{refusal.key}" if refusal.key else "cpu_isolation"
        yield Refusal(key, refusal.wrong, refusal.right)
    yield from refusals(settings["kernel_profile"], sets.as_dict(), Options.of(settings, fleet), hardware)
    yield from _ranges(settings)
    yield from _names(settings)
    cards = [card for card in hardware.get("gpus") or () if card.get("architecture") != "apple"]
    if settings["kernel_flavour"] == REALTIME and cards:
        wrong = f"NVIDIA's driver does not build for a realtime kernel ({cards[0].get('model')})"
        yield Refusal("kernel_flavour", wrong, "write generic")


def _ranges(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    for key, (least, most) in (
        ("kernel_confirm_minutes", CONFIRM_MINUTES),
        ("kernel_idle_latency_us", IDLE_LATENCY_US),
    ):
        if not least <= settings[key] <= most:
            yield Refusal(key, f"{settings[key]} is out of range", f"write a number from {least} to {most}")


def _names(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    version, group = settings["kernel_version"], settings["kernel_hugepages_group"]
    if version and not RELEASE.fullmatch(version):
        right = "write it as uname -r prints it, such as 6.8.0-60-generic"
        yield Refusal("kernel_version", f"{version!r} is no release of a kernel", right)
    if group:
        yield from forms.account("kernel_hugepages_group", group, "hugepages")
