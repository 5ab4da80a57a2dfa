# SPDX-License-Identifier: Apache-2.0
"""What the role blackbox_exporter refuses of its variables, without a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model import forms
from fleet.model.rules import Refusal
from fleet.model.view import View

# Prometheus' own time for a scrape, less what the answer takes.
LONGEST_SECONDS = 9


def blackbox_exporter_problems(
    settings: Mapping[str, Any], hardware: Mapping[str, Any], fleet: View
) -> Iterator[Refusal]:
    """Yield what cannot work.

    Args:
        settings: the variables of the host.
        hardware: not asked.
        fleet: not asked.
    """
    yield from forms.listening(settings, "blackbox_exporter_address")
    yield from forms.port("blackbox_exporter_port", settings["blackbox_exporter_port"])
    seconds = settings["blackbox_exporter_timeout_seconds"]
    if not 1 <= seconds <= LONGEST_SECONDS:
        wrong = f"{seconds} s leave a probe no time, or Prometheus none"
        yield Refusal("blackbox_exporter_timeout_seconds", wrong, f"write 1 to {LONGEST_SECONDS}")
