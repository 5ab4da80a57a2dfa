# SPDX-License-Identifier: Apache-2.0
"""The variables by which Ansible reaches a host and becomes root there, out of the documentation of its own plugins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible import constants
from ansible.plugins.loader import become_loader, connection_loader, shell_loader

from fleet.model.warnings import heard

INTERPRETER = re.compile(r"ansible_\w+_interpreter")
_SECRET = re.compile(r"(_pass|_password|_passphrase|_private_key)\Z")
_OF_PLAYS = {"ansible_become": "bool"}  # a keyword of plays, which no plugin documents
_TYPES = {"boolean": "bool", "bool": "bool", "integer": "int", "int": "int", "float": "float", "list": "list"}


def options(plugins: Iterable[str] = ()) -> dict[str, Mapping[str, Any]]:
    """Return name -> specification of each connection and become variable.

    Args:
        plugins: names of further plugins, of a collection, that the inventory chooses.
    """
    found: dict[str, Mapping[str, Any]] = {
        name: _spec(name, _OF_PLAYS.get(name, ""))
        for names in constants.MAGIC_VARIABLE_MAPPING.values()
        for name in names
    }
    found |= {name: _spec(name, "") for name in constants.COMMON_CONNECTION_VARS}
    for kind, plugin in _plugins(plugins):
        for definition in constants.config.get_configuration_definitions(plugin_type=kind, name=plugin).values():
            for variable in definition.get("vars") or ():
                if variable["name"].startswith("ansible_"):
                    found[variable["name"]] = _spec(variable["name"], str(definition.get("type", "")))
    return found


def _plugins(further: Iterable[str]) -> Iterator[tuple[str, str]]:
    for loader, kind in ((connection_loader, "connection"), (become_loader, "become"), (shell_loader, "shell")):
        own = {str(plugin.ansible_name).rpartition(".")[2] for plugin in loader.all(class_only=True)}
        for name in (*sorted(own), *further):
            with heard():  # of a plugin that is not installed; the connection itself is refused elsewhere
                plugin = loader.get(name, class_only=True)
            if plugin is not None:
                yield kind, str(plugin._load_name)


def _spec(name: str, kind: str) -> Mapping[str, Any]:
    spec: dict[str, Any] = {"type": _TYPES.get(kind, "raw"), "description": "Ansible's own variable."}
    return spec | ({"no_log": True} if _SECRET.search(name) else {})
