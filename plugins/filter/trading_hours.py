# SPDX-License-Identifier: Apache-2.0
"""Whether a host trades now, and until when it is left alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from station.clock import of_datetime, to_datetime
from station.modes import trading_hours as core

DOCUMENTATION = r"""
name: trading_hours
short_description: Say whether a host is frozen because it trades
description:
  - Takes the markets and windows that freeze a host, and the windows in which it trades nothing whatever is open. What
    cannot be read freezes it until it is corrected.
options:
  _input:
    description: Names of markets (trading_markets), such as XNYS, fx or 24/7.
    type: list
    elements: str
    required: true
  windows:
    description: Hand-written windows of days, from, until and timezone (trading_windows).
    type: list
    elements: dict
    default: []
  maintenance:
    description: Windows in which the host trades nothing (trading_maintenance_windows).
    type: list
    elements: dict
    default: []
  now:
    description: The time, as ISO 8601 with an offset; by default the control machine's.
    type: str
  margin_minutes:
    description: How long before an opening the host is already near.
    type: int
    default: 0
"""

EXAMPLES = r"""
frozen: "{{ (trading_markets | trading_hours(trading_windows, trading_maintenance_windows)).frozen }}"
"""

RETURN = r"""
_value:
  description:
    - frozen (it trades, or a setting cannot be read), near (frozen, or its trading begins within the margin), window
      (which markets and windows, in words), closes and opens (ISO 8601, empty when never), until (what follows "frozen
      until", empty when it is not) and problems (lines).
  type: dict
"""


def trading_hours(
    markets: Any, windows: Any = (), maintenance: Any = (), now: str = "", margin_minutes: int = 0
) -> dict[str, Any]:
    """Return where the time lies in the trading hours of a host.

    Args:
        markets: their names.
        windows: of days, from, until and timezone.
        maintenance: windows in which it trades nothing.
        now: ISO 8601 with an offset; the control machine's clock when empty.
        margin_minutes: how long before an opening counts as near.
    """
    hours = core.read({core.MARKETS: markets, core.WINDOWS: windows, core.MAINTENANCE: maintenance})
    moment = datetime.fromisoformat(now) if now else datetime.now(UTC)
    found = core.freeze(hours, of_datetime(moment), margin_minutes)
    return {
        "frozen": found.frozen,
        "near": found.near,
        "window": found.why,
        "closes": _text(found.until),
        "opens": _text(found.opens),
        "until": found.ends,
        "problems": [str(problem) for problem in found.problems],
    }


def _text(moment: int | None) -> str:
    return "" if moment is None else to_datetime(moment).isoformat()


class FilterModule:
    """Makes the filter known to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"trading_hours": trading_hours}
