# SPDX-License-Identifier: Apache-2.0
"""Validation errors as sentences: which key, what is wrong, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from station.config.base import Breach
from station.config.document import Document, Keys

# Consequences of another error that is reported.
_SILENT = {"default_factory_not_called"}
# What pydantic adds to the path of a key that is wrong itself.
_KEY_ITSELF = "[key]"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        document: what says it.
        keys: the way to the key inside the document.
        words: what is wrong; what would be right.
    """

    document: Document
    keys: Keys
    words: str

    @property
    def key(self) -> str:
        """Return the way inside the document, as one text."""
        return ".".join(map(str, self.keys))

    def __str__(self) -> str:
        """Return the form that all messages have: place, key, what is wrong; what is right."""
        return ": ".join(part for part in (self.document.place(self.keys), self.key, self.words) if part)


def sentences(error: ValidationError, model: type[BaseModel], document: Document) -> Iterator[Fault]:
    """Yield each thing that is wrong."""
    for details in error.errors(include_url=False):
        if details["type"] not in _SILENT:
            yield _sentence(details, model, document)


def _sentence(details: ErrorDetails, model: type[BaseModel], document: Document) -> Fault:
    path = details["loc"]
    if path[-1:] == (_KEY_ITSELF,) and details["type"] != "extra_forbidden":
        path = path[:-1]
    keys, holder = _locate(path, model)
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, Breach):
        keys = (*keys, cause.key)
    return Fault(document, keys, _words(details, keys, holder, cause))


def nearest(name: str, known: Sequence[str]) -> str:
    """Return what somebody may have meant, or all there is to choose from."""
    close = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"there is {', '.join(known)}"


def _words(details: ErrorDetails, keys: Keys, holder: type[BaseModel] | None, cause: object) -> str:
    value, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            words = f"unknown key; {nearest(str(keys[-1]), sorted(holder.model_fields) if holder else [])}"
        case "missing":
            field = holder.model_fields.get(str(keys[-1])) if holder else None
            words = f"missing; set it to {(field and field.description) or 'a value'}"
        case "union_tag_not_found":
            key = str(context["discriminator"]).strip("'")
            words = f'says no "{key}"; set it to what it is'
        case "union_tag_invalid":
            words = _choice(context["tag"], str(context["expected_tags"]))
        case "literal_error":
            words = _choice(value, str(context["expected"]).replace(" or ", ", "))
        case "value_error" if cause is not None:
            words = str(cause)
        case _:
            words = f"{_shown(value)} is wrong; {details['msg'][:1].lower()}{details['msg'][1:]}"
    return words


def _choice(value: object, expected: str) -> str:
    known = [choice.strip("' ") for choice in expected.split(",")]
    return f"{_shown(value)} is none; {nearest(str(value), known)}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _locate(path: Sequence[int | str], model: type[BaseModel]) -> tuple[Keys, type[BaseModel] | None]:
    """Return the path of a key as its file has it, and the model that the last key is looked up in."""
    keys: list[int | str] = []
    holder: type[BaseModel] | None = model
    choices: tuple[type[BaseModel], ...] = (model,)
    for number, step in enumerate(path):
        tagged = [choice for choice in choices if step in _tags(choice)]
        if tagged and len(choices) > 1:
            choices = tuple(tagged)
            continue
        keys.append(step)
        if isinstance(step, str):
            holder = choices[0] if choices else None
            field = holder.model_fields.get(step) if holder else None
            choices = _models(field.annotation) if field and number < len(path) - 1 else ()
    return tuple(keys), holder


def _models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """Return the models that a value of such a type may be or hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(model for part in get_args(annotation) for model in _models(part))


def _tags(model: type[BaseModel]) -> set[str]:
    return {
        choice
        for field in model.model_fields.values()
        if get_origin(field.annotation) is Literal
        for choice in get_args(field.annotation)
    }
