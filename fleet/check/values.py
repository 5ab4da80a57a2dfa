# SPDX-License-Identifier: Apache-2.0
"""Every value has the type and the choice that its specification asks for, and can be rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError

from fleet.model.model import Fleet
from fleet.model.problems import Problem
from fleet.model.project import Spec
from fleet.model.rules import plain
from fleet.model.settings import Settings, UnrenderableError

WORD = re.compile(r"[A-Za-z_]\w*")
VAULT_NAME = re.compile(r"\bvault_\w+")


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield values of a wrong type, outside their choices, missing, or with references to nothing."""
    written = {item.key for item in fleet.definitions}
    judge = Judge()
    for host in fleet.hosts:
        known = fleet.settings(host)
        for key, spec in fleet.options(host).items():
            if key in written and key in known:
                yield from _value(fleet, host, key, spec, judge)
            elif spec.get("required") and key not in known:
                right = f"set it in host_vars/{host}.yml or a group's file: {_summary(spec)}"
                yield Problem(fleet.place(host, key), host, key, "required and not set", right)


def _value(fleet: Fleet, host: str, key: str, spec: Spec, judge: Judge) -> Iterator[Problem]:
    known = fleet.settings(host)
    try:
        value = known[key]
    except UnrenderableError as error:
        text = " ".join(_texts_behind(known, key))
        # Facts are unknown here; and an undefined vault name is the vault check's to report.
        if "ansible_facts" not in text and not any(name not in known for name in VAULT_NAME.findall(text)):
            wrong = str(error.args[0]).partition(": ")[2].splitlines()[0].rstrip(".")
            right = "mend the expression or define what it names"
            yield Problem(fleet.place(host, key), host, key, f"cannot be rendered: {wrong}", right)
        return
    if value is None and spec.get("default") is not None:
        yield Problem(fleet.place(host, key), host, key, "is empty", f"write a {_summary(spec)}")
        return
    for wrong in judge(key, spec, value):
        yield Problem(fleet.place(host, key), host, key, wrong, f"it is a {_summary(spec)}")


class Judge:
    """Ansible's own validation of one value; equal questions are asked once, hosts share most of their values."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def __call__(self, key: str, spec: Spec, value: Any) -> tuple[str, ...]:
        """Return what is wrong with the value of a variable."""
        value = plain(value)
        question = (key, repr(value))
        if question not in self._known:
            errors = ArgumentSpecValidator({key: spec}).validate({key: value}).errors
            # The names check reports unknown nested keys, with their line.
            self._known[question] = tuple(
                _message(error) for error in errors if not isinstance(error, UnsupportedError)
            )
        return self._known[question]


def _message(error: Exception) -> str:
    message = re.sub(r"<class '(\w+)'>", r"\1", str(error).splitlines()[0])
    return message.replace("and we were unable to convert to", "and cannot become").rstrip(".")


def _summary(spec: Spec) -> str:
    description = spec.get("description", "")
    words = description if isinstance(description, str) else " ".join(description)
    first = words.strip().split(". ")[0].rstrip(".")
    choices = f", one of {', '.join(map(str, spec['choices']))}" if spec.get("choices") else ""
    return f"{spec.get('type', 'str')}{choices}" + (f" ({first})" if first else "")


def _texts_behind(known: Settings, key: str) -> Iterator[str]:
    """Yield the text of a variable and of every variable that it names, however far away."""
    waiting, seen = [key], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for text in texts(known.raw(name)):
            yield text
            waiting.extend(word for word in WORD.findall(text) if word in known)


def texts(value: Any) -> Iterator[str]:
    """Yield the templates inside a value that is not rendered."""
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from texts(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from texts(entry)
