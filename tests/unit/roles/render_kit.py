# SPDX-License-Identifier: Apache-2.0
"""A role's template as Ansible renders it for a host of the production example."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from ansible.plugins.loader import filter_loader
from ansible.template import Templar, trust_as_template

from fleet.paths import PROJECT
from tests.unit.roles.rules_kit import example


@cache
def _with_filters(role: str) -> None:
    filter_loader.add_directory(str(PROJECT / "roles" / role / "filter_plugins"))


def rendered(role: str, template: str, host: str = "station", **changes: Any) -> str:
    """Return the text of a template.

    Args:
        role: its name.
        template: in the role's folder.
        host: of inventory/production.
        changes: variables by name, such as facts.
    """
    _with_filters(role)
    fleet = example()
    settings = fleet.settings(host)
    private = PROJECT / "roles" / role / "vars" / "main.yml"
    raw = {key: settings.raw(key) for key in settings}
    raw |= _trusted(yaml.safe_load(private.read_text()) or {}) if private.exists() else {}
    raw |= {"ansible_managed": "Managed by Ansible", **changes}
    folder = PROJECT / "roles" / role / "templates"
    templar = Templar(loader=fleet.loader, variables=raw)
    text = trust_as_template((folder / template).read_text())
    return str(templar.copy_with_new_env(searchpath=[str(folder)]).template(text))


def _trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trusted(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_trusted(entry) for entry in value]
    return trust_as_template(value) if isinstance(value, str) else value


def directives(text: str) -> dict[str, list[str]]:
    """Return directive -> its values, in order, of a unit."""
    found: dict[str, list[str]] = {}
    for key, value in _assignments(text):
        found.setdefault(key, []).append(value)
    return found


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            yield key, value
