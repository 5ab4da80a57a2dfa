# SPDX-License-Identifier: Apache-2.0
"""Tell a waiting program how far a run is: one JSON line an event on the file descriptor in FLEET_PROGRESS_FD."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: progress
type: notification
short_description: events of a run as JSON lines on a file descriptor
description:
  - Writes one JSON line for each play, task result and the final statistics to the descriptor in FLEET_PROGRESS_FD.
  - Does nothing when that variable is not set.
"""


class CallbackModule(CallbackBase):
    """Writes events; keeps no state but the name of the current play."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        descriptor = os.environ.get("FLEET_PROGRESS_FD", "")
        self.disabled = not descriptor.isdigit()
        self._descriptor = int(descriptor) if descriptor.isdigit() else -1
        self._play = ""

    def _write(self, event: str, **fields: object) -> None:
        line = json.dumps({"event": event, "at": time.monotonic(), "play": self._play, **fields}, default=str)
        os.write(self._descriptor, line.encode() + b"\n")

    def _result(self, status: str, result: Any) -> None:
        values = result.result
        self._write(
            status,
            host=result.host.get_name(),
            task=result.task.get_name(),
            changed=bool(values.get("changed", False)),
            message=str(values.get("msg") or values.get("stderr") or "") if status in {"failed", "unreachable"} else "",
        )

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the play, which begins with its layer, and its hosts."""
        self._play = play.get_name()
        hosts = [host.name for host in play.get_variable_manager()._inventory.get_hosts(play.hosts)]
        self._write("play", hosts=hosts)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A host begins a task."""
        self._write("start", host=host.get_name(), task=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task went well."""
        self._result("ok", result)

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
        self._write("stats", hosts={host: stats.summarize(host) for host in stats.processed})
