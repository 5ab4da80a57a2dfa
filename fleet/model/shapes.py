# SPDX-License-Identifier: Apache-2.0
"""Whether a value has the shape that a specification asks for: types, choices, limits, forms, down to the last key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.vault import EncryptedString

from fleet.model.problems import Place
from fleet.model.project import Spec
from fleet.model.reading import place_of
from fleet.model.settings import is_template
from fleet.model.written import kind


@dataclass(frozen=True)
class Misfit:
    """What is wrong at one path inside a value; without a place it is where the variable is."""

    path: str
    wrong: str
    right: str
    place: Place | None = None


def misfits(path: str, spec: Spec, value: Any, raw: Any) -> Iterator[Misfit]:
    """Yield what is wrong with a value.

    Args:
        path: the variable, and the keys that lead to the value.
        spec: the specification of an option; beside Ansible's keys `minimum`, `maximum` and `pattern` count.
        value: the value, rendered.
        raw: the same value as it is written; what a template makes may have another type, as Ansible converts it.
    """
    yield from _misfits(path, spec, value, raw, None)


def summary(spec: Spec) -> str:
    """Return type, choices and first sentence of an option."""
    description = spec.get("description", "")
    words = description if isinstance(description, str) else " ".join(map(str, description))
    first = words.strip().split(". ")[0].rstrip(".")
    choices = f", one of {', '.join(map(str, spec['choices']))}" if spec.get("choices") else ""
    return f"{spec.get('type', 'str')}{choices}" + (f" ({first})" if first else "")


def _misfits(path: str, spec: Spec, value: Any, raw: Any, place: Place | None) -> Iterator[Misfit]:
    if value is None:
        if spec.get("default") is not None or spec.get("required"):
            yield Misfit(path, "is empty", f"write a {summary(spec)}", place)
        return
    expected = spec.get("type", "str")
    if expected == "list" and isinstance(value, (list, tuple)):
        yield from _entries(path, spec, value, raw, place)
    elif expected == "dict" and isinstance(value, Mapping):
        yield from _keys(path, spec, value, raw, place)
    else:
        yield from _plain(path, spec, value, raw, place)


def _entries(path: str, spec: Spec, value: Any, raw: Any, place: Place | None) -> Iterator[Misfit]:
    if "elements" not in spec:
        return
    entry = {
        key: spec[key] for key in ("options", "choices", "description", "minimum", "maximum", "pattern") if key in spec
    }
    written = raw if isinstance(raw, (list, tuple)) and len(raw) == len(value) else ()
    for number, item in enumerate(value):
        inside = written[number] if written else "{{ }}"
        here = place_of(inside) or place
        required = {"type": spec["elements"], "required": True}
        yield from _misfits(f"{path}[{number}]", entry | required, item, inside, here)


def _keys(path: str, spec: Spec, value: Any, raw: Any, place: Place | None) -> Iterator[Misfit]:
    options = spec.get("options")
    if not isinstance(options, Mapping):
        return
    written = {str(key): (key, entry) for key, entry in raw.items()} if isinstance(raw, Mapping) else {}
    for name, option in options.items():
        if name in value:
            key, inside = written.get(name, (None, "{{ }}"))
            yield from _misfits(f"{path}.{name}", option, value[name], inside, place_of(key) or place)
        elif option.get("required"):
            yield Misfit(f"{path}.{name}", "required and not set", f"add it: a {summary(option)}", place)


def _plain(path: str, spec: Spec, value: Any, raw: Any, place: Place | None) -> Iterator[Misfit]:
    expected = spec.get("type", "str")
    right = f"it is a {summary(spec)}"
    if expected in {"list", "dict"}:
        due = "a list" if expected == "list" else "a mapping"
        yield Misfit(path, f"is {kind(value)} where {due} is due", right, place)
    elif expected in {"str", "path"} and not isinstance(value, (str, EncryptedString)):
        if isinstance(value, (Mapping, list, tuple)):
            yield Misfit(path, f"is {kind(value)} where a text is due", right, place)
        elif not is_template(raw):
            yield Misfit(path, f"YAML reads it as {kind(value)}, {value}", f"write it in quotes; {right}", place)
    elif expected in {"int", "float"} and isinstance(value, bool):
        yield Misfit(path, f"YAML reads it as {kind(value)}, {value}", right, place)
    else:
        wrong = _judged(spec, plain(value))
        if wrong:
            yield Misfit(path, wrong, right, place)
        else:
            yield from _limits(path, spec, value, place)


def _limits(path: str, spec: Spec, value: Any, place: Place | None) -> Iterator[Misfit]:
    right = f"it is a {summary(spec)}"
    if "minimum" in spec and float(value) < spec["minimum"]:
        yield Misfit(path, f"{value} is less than {spec['minimum']}", right, place)
    if "maximum" in spec and float(value) > spec["maximum"]:
        yield Misfit(path, f"{value} is more than {spec['maximum']}", right, place)
    if "pattern" in spec and not re.fullmatch(spec["pattern"], str(value)):
        yield Misfit(path, f"{str(value)!r} has another form", right, place)


def _without_children(spec: Spec) -> dict[str, Any]:
    kept = {key: spec[key] for key in ("type", "choices") if key in spec}
    return {key: tuple(entry) if isinstance(entry, list) else entry for key, entry in kept.items()}


def _judged(spec: Spec, value: Any) -> str:
    """Return Ansible's own words about one value; equal questions are asked once, hosts share most of their values."""
    option = {key: spec[key] for key in ("type", "choices") if key in spec}
    question = repr((sorted(option.items()), type(value), value))
    if question not in _JUDGED:
        messages = ArgumentSpecValidator({"value": option}).validate({"value": value}).error_messages
        message = re.sub(r"<class '(\w+)'>", r"\1", messages[0].splitlines()[0]) if messages else ""
        for said, instead in (("argument 'value' is of type", "is of type"), ("value of value must be", "must be")):
            message = message.replace(said, instead)
        _JUDGED[question] = message.replace("and we were unable to convert to", "and cannot become").rstrip(".")
    return _JUDGED[question]


_JUDGED: dict[str, str] = {}


def plain(value: Any) -> Any:
    """Return a value without what Ansible remembers of its origin, which is slow to copy."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return next(
        (kind(value) for kind in (str, int, float) if isinstance(value, kind) and not isinstance(value, bool)), value
    )
