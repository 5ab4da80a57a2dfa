# SPDX-License-Identifier: Apache-2.0
"""How a run stands: events of Ansible folded into a table of hosts and layers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FINAL = ("failed", "unreachable")
# The layer whose failures say that a frozen host was left as it is: playbooks/held_back.yml.
HELD_BACK = "market hours"
TASK = 38  # characters of a task's name while it runs


@dataclass(frozen=True)
class Change:
    """What one task changed, or would have changed; `files` are what it names, `diff` is as Ansible shows it."""

    layer: str
    task: str
    files: tuple[str, ...] = ()
    diff: str = ""


@dataclass
class Cell:
    """One host in one layer; times in seconds on the control machine's monotonic clock."""

    state: str = "waiting"
    task: str = ""
    message: str = ""
    done: int = 0
    changed: int = 0
    seconds: float = 0.0
    seconds_before: float = 0.0  # in earlier plays of the same layer
    began: float = 0.0  # when it would have begun, had the plays of the layer followed each other
    frozen: bool = False
    address: str = ""  # where it did not answer

    def text(self, now: float = 0.0) -> str:
        """Say in a few words how the host stands in the layer.

        Args:
            now: on the clock of the events; 0 for the time of the last one.
        """
        if self.state == "running":
            seconds = now - self.began if now else self.seconds
            return f"{seconds:.0f} s, {textwrap.shorten(self.task, TASK, placeholder=' ...')}"
        if self.state == "ok":
            done = "held back" if self.frozen else "changed"
            return f"ok {self.seconds:.0f} s, {f'{self.changed} {done}' if self.changed else 'no change'}"
        return self.state


@dataclass
class Progress:
    """The state of a whole run, one event after the other.

    Attributes:
        layers: layer names in the order in which they began.
        cells: (host, layer) -> state; hosts in the order in which they were first seen.
        totals: host -> Ansible's own counts, once the run is over.
        frozen: host -> until when, and why, in words.
        held_back: frozen host -> role -> number of tasks that would have changed it, once the run is over.
        changes: what was changed, or would have been, in order, with the hosts that it was the same for.
    """

    layers: list[str] = field(default_factory=list)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    totals: dict[str, Mapping[str, int]] = field(default_factory=dict)
    frozen: dict[str, str] = field(default_factory=dict)
    held_back: dict[str, Mapping[str, int]] = field(default_factory=dict)
    changes: dict[Change, list[str]] = field(default_factory=dict)
    _layer: str = ""
    _play_began: float = 0.0

    @property
    def hosts(self) -> list[str]:
        """Return the hosts seen so far, without the control machine itself."""
        return list(dict.fromkeys(host for host, _ in self.cells))

    @property
    def began(self) -> bool:
        """Tell whether any host is, or would be, another than before."""
        return any(cell.changed and not cell.frozen for cell in self.cells.values())

    def failures(self) -> list[tuple[str, str, Cell]]:
        """Return (host, layer, cell) of everything that went wrong; what was held back did not."""
        wrong = ((host, layer, cell) for (host, layer), cell in self.cells.items() if cell.state in FINAL)
        return [(host, layer, cell) for host, layer, cell in wrong if layer != HELD_BACK]

    def apply(self, event: Mapping[str, Any]) -> list[tuple[str, str, Cell]]:
        """Take in one event and return the (host, layer, cell) that it finished."""
        kind = str(event["event"])
        if kind == "play":
            return self._begin_play(str(event["play"]), event["hosts"], float(event["at"]))
        if kind == "stats":
            self.totals = dict(event["hosts"])
            self.held_back = {host: roles for host, roles in event["held_back"].items() if roles}
            self._forgive_rescued()
            return self._finish_layer()
        if kind == "frozen":
            self.frozen[str(event["host"])] = f"until {event['until']} ({event['why']})"
            return []
        return self._task(kind, str(event["host"]), event)

    def _task(self, kind: str, host: str, event: Mapping[str, Any]) -> list[tuple[str, str, Cell]]:
        cell = self.cells.get((host, self._layer))
        if cell is None or cell.state in FINAL:
            return []
        cell.state, cell.task = "running", str(event["task"]).replace(" : ", ": ", 1)
        cell.seconds = cell.seconds_before + float(event["at"]) - self._play_began
        if kind == "start":
            return []
        cell.done += 1
        if event["changed"]:
            cell.changed += 1
            change = Change(self._layer, cell.task, tuple(event.get("files", ())), str(event.get("diff", "")))
            self.changes.setdefault(change, []).append(host)
        if kind in FINAL:
            cell.state, cell.message = kind, str(event["message"]).strip().removeprefix("Task failed: ")
            if kind == "unreachable":
                # The reason is what ssh said last; an address is in it or not, by the strategy.
                cell.message = cell.message.rpartition("\n")[2]
                cell.address = str(event.get("address", ""))
            return [(host, self._layer, cell)]
        return []

    def _begin_play(self, name: str, hosts: Iterable[str], at: float) -> list[tuple[str, str, Cell]]:
        layer = name.split(":", maxsplit=1)[0].lower()
        finished = [] if layer == self._layer else self._finish_layer()
        self._layer, self._play_began = layer, at
        if layer not in self.layers:
            self.layers.append(layer)
        for host in hosts:
            cell = self.cells.setdefault((host, layer), Cell())
            cell.seconds_before, cell.began = cell.seconds, at - cell.seconds
            cell.frozen = host in self.frozen
        return finished

    def _forgive_rescued(self) -> None:
        """A task that a rescue caught was reported as failed; Ansible's own counts know better."""
        for (host, _), cell in self.cells.items():
            counts = self.totals.get(host, {})
            if cell.state == "failed" and counts.get("rescued") and not counts.get("failures"):
                cell.state = "ok"

    def _finish_layer(self) -> list[tuple[str, str, Cell]]:
        finished = []
        told = (*FINAL, "ok", "not reached")  # before, unless a later play of the layer went on with it
        gone = {host for (host, _), cell in self.cells.items() if cell.state in FINAL}
        for (host, layer), cell in self.cells.items():
            if layer == self._layer and cell.state not in told:
                cell.state = "ok" if cell.done else "not reached"
                # Of a host that failed before, its failure has been told.
                if cell.done or host not in gone:
                    finished.append((host, layer, cell))
        return finished
