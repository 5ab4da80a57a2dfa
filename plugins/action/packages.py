# SPDX-License-Identifier: Apache-2.0
"""Action `packages`: apt is run only on a host on which something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

# Seconds for which fetched package lists are good.
LISTS_ARE_GOOD = 3600
# Seconds that apt waits for its locks: a host that has just booted installs its own upgrades for minutes.
PATIENCE = 600
UNSOLVED = ("held broken packages", "Unable to satisfy dependencies")
PINS = "packages of base_held_packages stay at the installed version (/etc/apt/preferences.d/90-base-held)"


class ActionModule(ActionBase):
    """Ansible's entry point; the options are the module's (plugins/modules/packages.py)."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return apt's result, or dpkg's word that nothing is missing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        result.update(self._execute_module("packages", module_args=arguments, task_vars=task_vars))
        if result.get("failed") or not result["missing"]:
            return result
        apt = {**arguments, "install_recommends": False, "cache_valid_time": LISTS_ARE_GOOD, "lock_timeout": PATIENCE}
        result.update(self._execute_module("ansible.builtin.apt", module_args=apt, task_vars=task_vars))
        return explained(result)


def explained(result: dict[str, Any]) -> dict[str, Any]:
    """Return apt's result, with the pins named where apt cannot resolve what is asked for."""
    words = str(result.get("msg", "")).rstrip()
    if result.get("failed") and any(unsolved in words for unsolved in UNSOLVED):
        return {**result, "msg": f"{words} ({PINS})"}
    return result
