# SPDX-License-Identifier: Apache-2.0
"""Action `file_set`: renders templates and reads files of the role here, then runs the module on the host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

SOURCES = ("template", "src")


class ActionModule(ActionBase):
    """Ansible's entry point; the options are the module's (plugins/modules/file_set.py)."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        arguments["files"] = [self._read(entry, variables) for entry in arguments.get("files") or ()]
        # Apart from the rest, so that the host's log and the details of a run keep them to themselves.
        arguments["secrets"] = {
            entry["path"]: entry.pop("content")
            for entry in arguments["files"]
            if entry.get("secret") and "content" in entry
        }
        result.update(self._execute_module("file_set", module_args=arguments, task_vars=variables))
        return result

    def _read(self, entry: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return an entry with its content instead of where that is from."""
        sources = [key for key in SOURCES if entry.get(key) is not None]
        if not sources:
            return dict(entry)
        if len(sources) > 1 or entry.get("content") is not None:
            raise AnsibleActionFail(f"{entry.get('path')}: give one of content, template, src, link and directory")
        rest = {key: value for key, value in entry.items() if key not in {*SOURCES, "vars"}}
        return {**rest, "content": self._text(sources[0], str(entry[sources[0]]), entry.get("vars") or {}, variables)}

    def _text(self, kind: str, name: str, extra: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
        if kind == "src":
            return Path(self._find_needle("files", name)).read_text(encoding="utf-8")
        # The lookup is Ansible's own way from a template to a text; it knows the role's folder.
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        (text,) = lookup.run([name], variables=_Unchanged(variables), template_vars=dict(extra))
        return str(text)


class _Unchanged(dict[str, Any]):
    """Variables that no template changes: the lookup's deep copy of them, 20 ms a file and host, is a shallow one."""

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        """Return a dict that the lookup may add names to."""
        return dict(self)
