# SPDX-License-Identifier: Apache-2.0
"""Load once, in Ansible's own process, what each task on each host would load again in a process of its own."""

from __future__ import annotations

import gc
from collections import deque
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, test_loader

DOCUMENTATION = """
name: preload
type: notification
short_description: keeps the processes of a run's tasks short
description:
  - Ansible makes a process for each task on each host. A process inherits the filters and tests that are loaded before.
  - Fewer garbage collections let such a process share the memory of its parent.
  - Takes back that Mitogen keeps every process of a run but one on the second of two processors.
"""

# A collection looks at what was made since the last ones; a task makes a hundred times as much as Python assumes.
COLLECT_AFTER = (50_000, 20, 100)


class CallbackModule(CallbackBase):
    """Acts when a play begins; says nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "preload"
    CALLBACK_NEEDS_ENABLED = False

    def v2_playbook_on_play_start(self, _play: Any) -> None:
        """Load, before the first task's processes are made; whatever is loaded already costs nothing."""
        for loader in (filter_loader, test_loader):
            deque(loader.all(), maxlen=0)
        if str(constants.DEFAULT_STRATEGY).startswith("mitogen_"):
            _use_every_processor()
        gc.set_threshold(*COLLECT_AFTER)
        gc.freeze()


def _use_every_processor() -> None:
    """Replace Mitogen's placement of processes by its own empty one; Mitogen has no setting for it."""
    from ansible_mitogen import affinity  # noqa: PLC0415 - not there without Mitogen

    affinity.policy = affinity.Policy()
