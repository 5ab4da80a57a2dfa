# SPDX-License-Identifier: Apache-2.0
"""Action `market_hours`: decide whether this run may change a host, or whether something on it trades now."""

from __future__ import annotations

import getpass
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible import context
from ansible.plugins.action import ActionBase
from station import halt
from station.clock import of_datetime
from station.modes import trading_hours as core

DOCUMENTATION = r"""
name: market_hours
short_description: Decide whether a host is frozen because something on it trades now
description:
  - Asks the calendars on the control machine, and looks at the host only where they say that it trades.
  - Nothing trades on a host whose kill switch is engaged, or on which none of O(units) runs, as on a new one. A host
    that does not say so is frozen.
  - An O(override) is written to the host's journal and leaves the host as it may be changed; a dry run writes nothing.
options:
  markets:
    description: The host's C(trading_markets).
    type: list
    elements: str
    required: true
  windows:
    description: The host's C(trading_windows).
    type: list
    elements: dict
    required: true
  maintenance:
    description: The host's C(trading_maintenance_windows).
    type: list
    elements: dict
    required: true
  units:
    description: Units that trade; patterns of systemctl.
    type: list
    elements: str
    required: true
  override:
    description: Why the host is changed although it trades. An empty reason is refused.
    type: str
"""

EXAMPLES = r"""
- market_hours:
    markets: [XNYS]
    windows: []
    maintenance: []
    units: [station.target, station@*.service]
  register: __market_hours_result
"""

RETURN = r"""
frozen: {description: Whether nothing may be changed on the host., type: bool}
until: {description: "What follows `frozen until`, empty when it is not.", type: str}
why: {description: "The markets and windows that are open, in words.", type: str}
"""

TAG = "fleet-override"
EMPTY = 'trading_override gives no reason; write one in words, such as OVERRIDE="the feed is down"'
HALTED = "kill switch engaged"
LATCH = f"{halt.FOLDER}/{halt.FILE}"
STOPPED = ("inactive", "failed")


class ActionModule(ActionBase):
    """Ansible's entry point."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset({"markets", "windows", "maintenance", "units", "override"})

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return frozen, until and why."""
        result: dict[str, Any] = super().run(tmp, task_vars) | {"changed": False}
        given = self._task.args
        reason = " ".join(str(given.get("override", "-") or "").split())
        if not reason:
            return result | {"failed": True, "msg": EMPTY}
        settings = {
            core.MARKETS: given["markets"],
            core.WINDOWS: given["windows"],
            core.MAINTENANCE: given["maintenance"],
        }
        found = core.freeze(core.read(settings), of_datetime(datetime.now(UTC)))
        free = result | {"frozen": False, "until": "", "why": found.why}
        if not found.frozen:
            return free | {"msg": "its markets are closed"}
        why = found.why or "; ".join(str(problem) for problem in found.problems)
        seen = self._low_level_execute_command(look(given["units"]))
        idle = nothing_trades(seen["rc"], seen["stdout"])
        if idle:
            return free | {"msg": f"{why} trades, and nothing on this host does: {idle}"}
        host = (task_vars or {})["inventory_hostname"]
        if "override" in given:
            return self._overridden(free, why, reason, host)
        words = f"{host} is frozen until {found.ends} ({why}): this run changes nothing on it"
        self._display.warning(words)
        return result | {"frozen": True, "until": found.ends, "why": why, "msg": words}

    def _overridden(self, free: dict[str, Any], why: str, reason: str, host: str) -> dict[str, Any]:
        playbooks = " ".join(context.CLIARGS.get("args", ()))
        words = f"{who(os.environ)} runs {playbooks} on {host} in market hours ({why}): {reason}"
        if not self._task.check_mode:
            done = self._low_level_execute_command(shlex.join(["logger", f"--tag={TAG}", "--", words]))
            if done["rc"] != 0:
                wrong = f"the override cannot be written to the host's journal, so it does not count: {done['stderr']}"
                return free | {"failed": True, "msg": wrong.strip()}
        self._display.warning(words)
        return free | {"msg": words}


def look(units: Sequence[str]) -> str:
    """Return the shell command that says on a host what `nothing_trades` reads."""
    listed = shlex.join(["systemctl", "list-units", "--plain", "--no-legend", "--no-pager", "--full", "--", *units])
    return f"if [ -e {shlex.quote(LATCH)} ]; then echo {shlex.quote(HALTED)}; fi; {listed}"


def nothing_trades(status: int, said: str) -> str:
    """Return why nothing trades on a host, empty if something does or nobody can tell.

    Args:
        status: exit status of the look.
        said: its output.
    """
    lines = said.splitlines()
    if HALTED in lines:
        return "the kill switch is engaged"
    if status != 0 or any(_running(lines)):
        return ""
    return "none of its trading_units runs"


def _running(lines: Sequence[str]) -> Iterator[str]:
    """Yield the units that run, or whose line nobody understands."""
    for line in lines:
        unit, *states = line.split()
        if len(states) < 3 or states[1] not in STOPPED:
            yield unit


def who(environment: Mapping[str, str]) -> str:
    """Return the user on the control machine, also behind sudo."""
    return environment.get("SUDO_USER") or getpass.getuser()
