# SPDX-License-Identifier: Apache-2.0
"""What a role knows of its variables without a host: roles/<role>/rules.py, asked by the check and by the preflight."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from fleet.model.project import Spec
from fleet.model.settings import Settings, UnrenderableError
from fleet.model.shapes import misfits, plain
from fleet.model.view import View

FILE = "rules.py"
EMPTY: Mapping[str, Any] = {"str": "", "int": 0, "float": 0.0, "bool": False, "list": [], "dict": {}, "path": ""}


@dataclass(frozen=True)
class Refusal:
    """One thing that a role refuses.

    Attributes:
        key: the variable, with the way inside it: redis_users.admin, services_instances.0.reads.
        wrong: what is wrong.
        right: what would be right.
        host: whose variable it is, when it is another host's.
    """

    key: str
    wrong: str
    right: str
    host: str = ""

    @property
    def variable(self) -> str:
        """Return the variable alone."""
        return self.key.partition(".")[0]

    def __str__(self) -> str:
        """Return the words without the place: where no file says it."""
        return f"{self.key}{self.host and f' of {self.host}'}: {self.wrong}; {self.right}"


Rule = Callable[[Mapping[str, Any], Mapping[str, Any], View], Iterable[Refusal]]


def rule_of(project: Path, role: str) -> Rule | None:
    """Return a role's function `<role>_problems(settings, hardware, fleet)`; None for a role without rules.

    Args:
        project: the folder that has `roles`.
        role: its name.

    Raises:
        AttributeError: its rules.py has no such function.
    """
    file = project / "roles" / role / FILE
    if not file.exists():
        return None
    name = f"rules of {file}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None  # noqa: S101 - a path with a .py ending always has one
        assert spec.loader is not None  # noqa: S101
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    rule: Rule = getattr(sys.modules[name], f"{role}_problems")
    return rule


class Judged(Mapping[str, Any]):
    """A host's variables as rules may take them: of the type and choice that the specification asks for.

    A value that is refused for its type, or that needs facts, is seen as its default instead, and remembered: what a
    rule says of it is a consequence, and no news.

    Args:
        settings: the host's variables.
        options: specification by variable.
    """

    def __init__(self, settings: Mapping[str, Any], options: Spec) -> None:
        self._settings = settings
        self._options = options
        self._known: dict[str, Any] = {}
        self.doubtful: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        """Return a variable.

        Raises:
            KeyError: nothing sets it, and no role of the host has it.
        """
        if key not in self._known:
            self._known[key] = self._judged(key)
        return self._known[key]

    def as_written(self, key: str) -> Any:
        """Return a variable without the defaults that its specification adds inside it.

        Raises:
            KeyError: nothing sets it.
            UnrenderableError: it cannot be known without facts.
        """
        return self._settings[key]

    def _judged(self, key: str) -> Any:
        spec = self._options.get(key)
        try:
            value = self._settings[key]
        except UnrenderableError:
            self.doubtful.add(key)
            return _default(spec)
        except KeyError:
            if spec is None:
                raise
            return _default(spec)
        if spec is None:
            return value
        raw = self._settings.raw(key) if isinstance(self._settings, Settings) and key in self._settings else value
        try:
            result = ArgumentSpecValidator({key: spec}).validate({key: plain(value)})
        except (AttributeError, KeyError, TypeError, ValueError):
            # Ansible's validator falls over what is no dictionary where the specification has one inside another.
            self.doubtful.add(key)
            return _default(spec)
        if result.error_messages or any(misfits(key, spec, value, raw)):
            self.doubtful.add(key)
            return _default(spec)
        return result.validated_parameters[key]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all variables."""
        yield from self._settings
        yield from (key for key in self._options if key not in self._settings)

    def __len__(self) -> int:
        """Return the number of variables."""
        return sum(1 for _ in self)


def _default(spec: Spec | None) -> Any:
    if spec is None:
        return None
    value = spec.get("default")
    templated = isinstance(value, str) and "{{" in value
    return EMPTY.get(spec.get("type", "str")) if value is None or templated else value


def asked(rule: Rule, settings: Mapping[str, Any], options: Spec, fleet: View) -> Iterator[Refusal]:
    """Yield what a role refuses on one host, less what follows from a value that the specification refuses.

    Args:
        rule: the role's.
        settings: the host's variables, with inventory_hostname.
        options: specifications of what the host's roles and the inventory may be told.
        fleet: all hosts.
    """
    judged = Judged(settings, options)
    hardware = judged.get("hardware")
    found = list(rule(judged, hardware if isinstance(hardware, Mapping) else {}, fleet))
    yield from (refusal for refusal in found if refusal.host or refusal.variable not in judged.doubtful)


def declarations(fleet: View, noun: str, hosts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return host -> role -> value of `<role>_<noun>`, less the hosts whose values cannot be known without facts.

    Args:
        fleet: all hosts.
        noun: the part of the variable's name after the role's.
        hosts: those to ask.
    """
    found = {}
    for host in hosts:
        with contextlib.suppress(UnrenderableError):  # the check of values reports it
            found[host] = fleet.declared(noun, host)
    return found


EVERYWHERE = frozenset({"", "0.0.0.0", "::", "[::]", "*"})  # noqa: S104 - what is refused


def every_address(settings: Mapping[str, Any], key: str, such_as: str) -> Iterator[Refusal]:
    """Refuse an address that is every address of the host: what listens there has no authentication.

    Args:
        settings: the variables of the host.
        key: the variable with the address.
        such_as: what would be right.
    """
    if settings[key].strip() in EVERYWHERE:
        yield Refusal(key, f"{settings[key]!r} is every address of the host", f"name one, such as {such_as}")
