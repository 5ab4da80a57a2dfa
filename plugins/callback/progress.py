# SPDX-License-Identifier: Apache-2.0
"""How far a run is, and what it held back: the counts that playbooks/held_back.yml reads, and events for a program."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: progress
type: notification
short_description: changes held back on frozen hosts, and events of a run as JSON lines on a file descriptor
description:
  - Counts for each host with C(trading_frozen) what each role would have changed, and gives the host the counts as
    C(trading_held_back), role to number.
  - Writes one JSON line for each play, task result and the final statistics to the descriptor in FLEET_PROGRESS_FD,
    where that variable is set. A result that changed something has the files that it names, and the difference where
    Ansible itself shows it.
"""

# Where the control machine keeps what a template became.
TEMPORARY = "/ansible-local-"


class CallbackModule(CallbackBase):
    """Counts and writes; what it knows of a run is the current play and the frozen hosts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        descriptor = os.environ.get("FLEET_PROGRESS_FD", "")
        self._descriptor = int(descriptor) if descriptor.isdigit() else -1
        self._play = ""
        self._variables: Any = None
        self._held_back: dict[str, Counter[str]] = {}
        self._diffs: defaultdict[str, str] = defaultdict(str)

    def _write(self, event: str, **fields: object) -> None:
        if self._descriptor < 0:
            return
        line = json.dumps({"event": event, "at": time.monotonic(), "play": self._play, **fields}, default=str)
        os.write(self._descriptor, line.encode() + b"\n")

    def _result(self, status: str, result: Any) -> None:
        values, host = result.result, result.host
        more: dict[str, object] = {}
        if self._changed(result):
            more = {"files": _files(values), "diff": self._diffs[host.get_name()]}
        if status in {"failed", "unreachable"}:
            more["message"] = str(values.get("msg") or values.get("stderr") or "")
        if status == "unreachable":
            more["address"] = f"{host.vars.get('ansible_host', host.address)} port {host.vars.get('ansible_port', 22)}"
        self._write(
            status,
            host=host.get_name(),
            task=result.task.get_name(),
            changed=self._changed(result),
            **more,
        )

    def v2_on_file_diff(self, result: Any) -> None:
        """Keep a difference that Ansible shows, of a task or of one of its items; the task's result comes later."""
        values = result.result
        if values.get("diff") and values.get("changed"):
            self._diffs[result.host.get_name()] += self._get_diff(values["diff"])

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the play, which begins with its layer, and its hosts."""
        self._play = play.get_name()
        self._variables = play.get_variable_manager()
        hosts = [host.name for host in self._variables._inventory.get_hosts(play.hosts)]
        self._write("play", hosts=hosts)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A host begins a task."""
        self._diffs.pop(host.get_name(), None)
        self._write("start", host=host.get_name(), task=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task went well; one of them tells which hosts are frozen."""
        host, facts = result.host.get_name(), result.result.get("ansible_facts") or {}
        if facts.get("trading_frozen"):
            self._held_back[host] = Counter()
            self._write("frozen", host=host, until=facts["trading_frozen_until"], why=facts["trading_frozen_why"])
        self._hold_back(host, result)
        self._result("ok", result)

    def _changed(self, result: Any) -> bool:
        """Return whether a task changed its host, or would have; what is made on the control machine does not count."""
        elsewhere = result.task.delegate_to is not None and result.host.get_name() in self._held_back
        return bool(result.result.get("changed", False)) and not elsewhere

    def _hold_back(self, host: str, result: Any) -> None:
        """Count a change of a role that a frozen host did not get."""
        role = result.task._role
        if host in self._held_back and role and self._changed(result):
            self._held_back[host][role.get_name()] += 1
            counts = {"trading_held_back": dict(self._held_back[host])}
            self._variables.set_nonpersistent_facts(host, counts)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task did not apply."""
        self._result("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed; an ignored failure counts as done."""
        self._result("ok" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        self._result("unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run is over: the counts of each host."""
        counts = {host: stats.summarize(host) for host in stats.processed}
        self._write("stats", hosts=counts, held_back=self._held_back)


def _files(values: Any) -> list[str]:
    """Return the files, units or packages that a result names: those of its differences, else its own."""
    found: list[str] = []
    for one in values.get("results") or [values]:
        if not one.get("changed"):
            continue
        diffs = one.get("diff") or []
        headers = [_header(diff) for diff in (diffs if isinstance(diffs, list) else [diffs])]
        own = one.get("dest") or one.get("path") or one.get("name")
        found += [str(name) for name in one.get("paths") or list(filter(None, headers)) or [own] if name]
    return list(dict.fromkeys(found))


def _header(diff: Any) -> str:
    """Return the file that a difference is about; of a new one the second header alone may name it."""
    before, after = str(diff.get("before_header") or ""), str(diff.get("after_header") or "")
    return before or ("" if TEMPORARY in after else after)
