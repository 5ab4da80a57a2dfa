# SPDX-License-Identifier: Apache-2.0
"""The checks of real hosts as they go: what pytest tells of them, and how host and role stand by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NOT_CHECKED = "not checked"
NO_HOST = "-"  # of what goes wrong before any host is asked
# In this order they are told.
STATES = ("passed", "failed", "skipped", NOT_CHECKED)


class HostAwayError(Exception):
    """A host cannot be reached, so nothing is known of it; the message is one line."""


@dataclass(frozen=True)
class Check:
    """One assertion about one host; `message` is why it did not pass. Time in seconds."""

    role: str
    host: str
    name: str
    state: str
    message: str = ""
    seconds: float = 0.0


@dataclass
class Standing:
    """What is known of the checks so far.

    Attributes:
        planned: (host, role) -> number of checks, in the order in which they will run.
        checks: those that are done.
    """

    planned: dict[tuple[str, str], int] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    _running: tuple[str, str] = ("", "")
    _began: float = 0.0

    def take(self, event: Mapping[str, Any]) -> Iterator[str]:
        """Take in one event, and yield a line when it ends the checks of a role on a host."""
        if event["event"] == "plan":
            self.planned = {(host, role): count for host, role, count in event["checks"]}
            return
        where = (str(event["host"]), str(event["role"]))
        if event["event"] == "start":
            if where != self._running:
                self._running, self._began = where, float(event["at"])
            return
        check = Check(where[1], where[0], event["name"], event["state"], event["message"], event["seconds"])
        self.checks.append(check)
        done = self._done(where)
        # A host that is away is one line at the end, not one a role.
        if len(done) == self.planned.get(where) and any(check.state != NOT_CHECKED for check in done):
            host, role = where
            yield f"{host:<12} {role:<17} {summary(done)}, {sum(check.seconds for check in done):.0f} s"

    def away(self, host: str) -> bool:
        """Tell whether no check of a host could be made, of those that it has had so far."""
        states = {check.state for check in self.checks if check.host == host}
        return states == {NOT_CHECKED}

    def cell(self, host: str, role: str, now: float) -> str:
        """Say how a role stands on a host; nothing if it has no check there."""
        done, planned = self._done((host, role)), self.planned.get((host, role), 0)
        if len(done) >= planned:
            return summary(done) if done else ""
        waiting = f"{len(done)} of {planned}"
        return f"{waiting}, {now - self._began:.0f} s" if (host, role) == self._running else waiting

    def _done(self, where: tuple[str, str]) -> list[Check]:
        return [check for check in self.checks if (check.host, check.role) == where]


def summary(checks: Iterable[Check]) -> str:
    """Say how many checks passed, failed, were skipped and could not be made."""
    counts = Counter(check.state for check in checks)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) or "none"


def by_host(checks: Sequence[Check]) -> dict[str, str]:
    """Return {host: summary}."""
    hosts = dict.fromkeys(check.host for check in checks)
    return {host: summary([check for check in checks if check.host == host]) for host in hosts}


def told(checks: Sequence[Check]) -> Iterator[tuple[str, str]]:
    """Yield what went wrong as label and words, a line each; of what one host or one reason keeps back, one for all.

    Args:
        checks: those that are done.
    """
    for check in checks:
        if check.state == "failed":
            where = f"{check.host}, {check.role}: " if check.host != NO_HOST else ""
            yield "failed", f"{where}{check.name}: {check.message}"
    for state in (NOT_CHECKED, "skipped"):
        for message in dict.fromkeys(check.message for check in checks if check.state == state):
            those = [check for check in checks if (check.state, check.message) == (state, message)]
            if len(those) == 1 and state == "skipped":
                yield state, f"{those[0].host}, {those[0].role}: {those[0].name}: {message}"
            else:
                yield state, f"{message} ({_counted(those)})"


def _counted(checks: Sequence[Check]) -> str:
    counts = Counter(check.host for check in checks)
    return ", ".join(f"{count} check{'s' if count > 1 else ''} of {host}" for host, count in counts.items())
