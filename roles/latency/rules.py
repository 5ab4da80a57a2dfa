# SPDX-License-Identifier: Apache-2.0
"""What the role latency refuses of its variables, without a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from fleet.model import forms
from fleet.model.rules import Refusal
from fleet.model.view import View

PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
REPETITIONS = (1, 100)


def latency_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: not asked.
    """
    yield from forms.port("latency_port", settings["latency_port"])
    least, most = REPETITIONS
    number = settings["latency_repetitions"]
    if not least <= number <= most:
        yield Refusal(
            "latency_repetitions", f"{number} is out of range", f"write a number from {least} to {most}, best 3"
        )
    yield from _address(str(settings["latency_address"]))
    for position, name in enumerate(settings["latency_packages"]):
        if not PACKAGE.fullmatch(name):
            right = "write it as `apt-cache search` prints it"
            yield Refusal(f"latency_packages.{position}", f"{name!r} is no name of a package", right)


def _address(text: str) -> Iterator[Refusal]:
    key, right = "latency_address", "name the one that peers reach, as its default ansible_host does"
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        if text == "*" or not NAME.fullmatch(text):
            yield Refusal(key, f"{text!r} is no address of the host", right)
        return
    if address.is_unspecified or address.is_multicast:
        yield Refusal(key, f"{text} is no address of one host", right)
