# SPDX-License-Identifier: Apache-2.0
"""Every value has the shape that its specification asks for, wherever it is set, and can be rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fleet.check.references import undefined
from fleet.model.model import Fleet
from fleet.model.problems import Place, Problem
from fleet.model.project import Spec
from fleet.model.settings import Settings, UnrenderableError, is_template
from fleet.model.shapes import misfits, summary

WORD = re.compile(r"[A-Za-z_]\w*")
VAULT_NAME = re.compile(r"\bvault_\w+")


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield values of a wrong shape, missing ones, and references to nothing."""
    written = {item.key for item in fleet.definitions}
    judged: set[tuple[str, Place]] = set()
    for host in fleet.managed:
        known = fleet.settings(host)
        for key, spec in fleet.options(host).items():
            if key in written and key in known:
                judged.add((key, fleet.place(host, key)))
                yield from _value(fleet, host, key, spec)
            elif spec.get("required") and key not in known:
                right = f"set it in host_vars/{host}.yml or a group's file: {summary(spec)}"
                if key == "operating_system":
                    right += "; a host that no play shall touch goes into the group unmanaged"
                yield Problem(fleet.place(host, key), host, key, "required and not set", right)
    yield from _where_it_is_set(fleet, judged)


def _where_it_is_set(fleet: Fleet, judged: set[tuple[str, Place]]) -> Iterator[Problem]:
    """Judge what is in force on no host that reads it: it will be, when a host gets the role or loses its own value."""
    for item in fleet.definitions:
        spec = fleet.every_option.get(item.key)
        if spec is None or (item.key, item.place) in judged or is_template(item.value):
            continue
        for misfit in misfits(item.key, spec, item.value, item.value):
            yield Problem(misfit.place or item.place, item.owner, misfit.path, misfit.wrong, misfit.right)


def _value(fleet: Fleet, host: str, key: str, spec: Spec) -> Iterator[Problem]:
    known, place = fleet.settings(host), fleet.place(host, key)
    try:
        value = known[key]
    except UnrenderableError as error:
        yield from _unrenderable(known, key, place, host, error)
        return
    for misfit in misfits(key, spec, value, known.raw(key)):
        yield Problem(misfit.place or place, host, misfit.path, misfit.wrong, misfit.right)


def _unrenderable(known: Settings, key: str, place: Place, host: str, error: UnrenderableError) -> Iterator[Problem]:
    behind = list(_texts_behind(known, key))
    # An undefined name of the vault is the vault check's to report.
    if any(name not in known for name in VAULT_NAME.findall(" ".join(behind))):
        return
    wrong = str(error.args[0]).partition(": ")[2].splitlines()[0].rstrip(".")
    if "ansible_facts" in " ".join(behind):  # facts are unknown here, everything beside them is not
        names = sorted({name for text in texts(known.raw(key)) for name in undefined(text, known)})
        if not names:
            return
        wrong = f"{', '.join(map(repr, names))} is undefined"
    right = "mend the expression or define what it names; what only a run gives (-e) needs default()"
    yield Problem(place, host, key, f"cannot be rendered: {wrong}", right)


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
