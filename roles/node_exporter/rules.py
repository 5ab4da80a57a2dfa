# SPDX-License-Identifier: Apache-2.0
"""What the role node_exporter refuses of its variables, without a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model.rules import Refusal, every_address
from fleet.model.view import View

COLLECTORS = ("node_exporter_collectors", "node_exporter_disabled_collectors")


def node_exporter_problems(settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: not asked.
    """
    yield from every_address(settings, "node_exporter_address", "its default ansible_host")
    enabled, disabled = COLLECTORS
    for name in sorted(set(settings[enabled]) & set(settings[disabled])):
        yield Refusal(disabled, f"{name} is in {enabled} too", "name it in one of them")
    folder = settings["node_exporter_textfile"]
    if not folder.startswith("/") or ".." in folder.split("/"):
        yield Refusal("node_exporter_textfile", f"{folder!r} is no absolute path", "take one such as /var/lib/metrics")
