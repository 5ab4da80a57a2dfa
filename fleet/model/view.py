# SPDX-License-Identifier: Apache-2.0
"""The fleet as rules and declarations see it: from an inventory folder, or from the variables of a running play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from ansible.parsing.dataloader import DataLoader

from fleet.model import settings
from fleet.model.project import Project
from fleet.model.settings import Settings


class View(Protocol):
    """What a rule may ask beside the settings of its own host. `fleet.model.model.Fleet` is one."""

    @property
    def members(self) -> Mapping[str, Sequence[str]]:
        """Return group -> its hosts."""

    def roles(self, host: str) -> tuple[str, ...]:
        """Return the roles that the site applies to a host."""

    def settings(self, host: str) -> Mapping[str, Any]:
        """Return a host's variables over the defaults of its roles, rendered when read."""

    def declared(self, noun: str, host: str) -> dict[str, Any]:
        """Return {role: value of `<role>_<noun>`} for each role of the host that has this variable."""


class Running:
    """The fleet of a running play.

    Args:
        project: plays and roles.
        variables: of one host of the play, with `groups` and `hostvars`.
        loader: Ansible's loader.
    """

    def __init__(self, project: Project, variables: Mapping[str, Any], loader: DataLoader) -> None:
        self._project = project
        self._variables = variables
        self._loader = loader
        self._known: dict[str, Settings] = {}

    @property
    def members(self) -> Mapping[str, Sequence[str]]:
        """Return group -> its hosts."""
        groups: Mapping[str, Sequence[str]] = self._variables["groups"]
        return groups

    @cached_property
    def _roles(self) -> Mapping[str, tuple[str, ...]]:
        return self._project.roles_by_host(self.members)

    def roles(self, host: str) -> tuple[str, ...]:
        """Return the roles that the site applies to a host."""
        return self._roles.get(host, ())

    def settings(self, host: str) -> Settings:
        """Return a host's variables over the defaults of its roles, rendered when read."""
        if host not in self._known:
            self._known[host] = self.settings_over(host, self.roles(host))
        return self._known[host]

    def settings_over(self, host: str, roles: Sequence[str]) -> Settings:
        """Return a host's variables over the defaults of some roles; no other role is read."""
        raw: dict[str, Any] = {"hostvars": self._variables["hostvars"], "groups": self.members}
        for role in roles:
            raw.update(self._project.role(role).defaults)
        raw.update(self._variables["hostvars"].raw_get(host))
        return Settings(raw, self._loader)

    def declared(self, noun: str, host: str) -> dict[str, Any]:
        """Return {role: value of `<role>_<noun>`} for each role of the host that has this variable."""
        options = {role: self._project.role(role).options for role in self.roles(host)}
        return settings.declared(noun, options, self.settings(host))
