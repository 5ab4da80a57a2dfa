# SPDX-License-Identifier: Apache-2.0
"""One host's variables, rendered one at a time: a key that cannot be rendered without facts disturbs no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars

from fleet.model.problems import Place
from fleet.model.reading import place_of


class UnrenderableError(LookupError):
    """A variable whose value cannot be known: it needs facts, or something that nothing defines."""


class Settings(Mapping[str, Any]):
    """Inventory variables over role defaults; values are rendered when they are read, and remembered.

    Args:
        raw: the variables, not rendered.
        loader: Ansible's loader, for lookups inside values.
    """

    def __init__(self, raw: Mapping[str, Any], loader: DataLoader) -> None:
        self._raw = raw
        self._templar = Templar(loader=loader, variables=raw)
        self._rendered: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        """Return a variable, rendered.

        Raises:
            KeyError: nothing sets it.
            UnrenderableError: it cannot be rendered without a running host.
        """
        if key not in self._rendered:
            value = self._raw[key]
            try:
                self._rendered[key] = self._templar.template(value) if _needs_rendering(value) else value
            except AnsibleError as error:
                raise UnrenderableError(f"{key}: {error.message}") from error
        return self._rendered[key]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all variables."""
        return iter(self._raw)

    def __len__(self) -> int:
        """Return the number of variables."""
        return len(self._raw)

    def __contains__(self, key: object) -> bool:
        """Tell whether a variable is set, without rendering it."""
        return key in self._raw

    def raw(self, key: str) -> Any:
        """Return a variable as it is written, not rendered."""
        return self._raw[key]

    def place(self, key: str) -> Place | None:
        """Return the file and line that decides a variable."""
        return next((place_of(name) for name in self._raw if name == key), None)


def is_template(value: Any) -> bool:
    """Tell whether a value, as it is written, is the text of a template."""
    return isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))


def _needs_rendering(value: Any) -> bool:
    if isinstance(value, HostVars):
        return False  # renders what is asked of it
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, Mapping):
        return any(_needs_rendering(entry) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return any(_needs_rendering(entry) for entry in value)
    return not isinstance(value, (bool, int, float, type(None)))  # a value marked !vault


def declared(noun: str, roles: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return {role: value of `<role>_<noun>`} for the roles whose specification has that option.

    Args:
        noun: the part of the variable's name after the role's.
        roles: role -> options of its specification.
        settings: the host's variables.
    """
    names = {role: f"{role}_{noun}" for role, options in roles.items() if f"{role}_{noun}" in options}
    return {role: settings[name] for role, name in names.items()}
