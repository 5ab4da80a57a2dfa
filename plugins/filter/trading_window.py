# SPDX-License-Identifier: Apache-2.0
"""The market hours of the roles kernel, nic, irq, xdp and onload, as they still ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from station.clock import of_datetime, to_datetime
from station.modes import trading_hours as core

DOCUMENTATION = r"""
name: trading_window
short_description: Say whether now is in the kernel layer's market hours
description:
  - Takes windows (days, from, until, timezone) and returns a dictionary. A window whose end is before its start ends on
    the next day. Daylight saving is that of the window's zone. The filter trading_hours takes markets, too.
options:
  _input:
    description: The windows.
    type: list
    elements: dict
    required: true
  now:
    description: The time, as ISO 8601 with an offset; by default the control machine's.
    type: str
  margin_minutes:
    description: How long before an opening the host is already left alone.
    type: int
    default: 0
"""

EXAMPLES = r"""
inside: "{{ (kernel_trading_windows | trading_window(margin_minutes=25)).inside }}"
"""

RETURN = r"""
_value:
  description:
    - inside (in a window now), near (in one, or one opens within the margin), window (which one, in words), closes and
      opens (ISO 8601, empty when never) and problems (lines).
  type: dict
"""


def trading_window(entries: Sequence[Mapping[str, Any]], now: str = "", margin_minutes: int = 0) -> dict[str, Any]:
    """Return where the time lies in the windows of a host.

    Args:
        entries: windows of days, from, until and timezone.
        now: ISO 8601 with an offset; the control machine's clock when empty.
        margin_minutes: how long before an opening counts as near.
    """
    hours = core.read({core.WINDOWS: entries})
    moment = of_datetime(datetime.fromisoformat(now) if now else datetime.now(UTC))
    found = core.freeze(replace(hours, problems=()), moment, margin_minutes)
    # Of windows that follow each other for ever, the end of the one that is open now.
    ends = [session.closes for window in hours.trading for session in window.sessions(moment, moment + 1)]
    closes = found.until or max(ends, default=moment)
    return {
        "inside": found.frozen,
        "near": found.near,
        "window": found.why,
        "closes": to_datetime(closes).isoformat() if found.frozen else "",
        "opens": "" if found.opens is None else to_datetime(found.opens).isoformat(),
        "problems": [f"kernel_{problem}" for problem in hours.problems],
    }


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"trading_window": trading_window}
