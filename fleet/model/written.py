# SPDX-License-Identifier: Apache-2.0
"""A YAML file as it is written: keys that stand twice or are no text, and numbers that YAML reads otherwise.

Ansible's loader gives values and no longer knows how they were written, so the nodes are looked at once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_TEXT = f"{_TAG}str"
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "yes or no"),
    ((int, float), "a number"),
    (date, "a date"),
    (str, "a text"),
    (Mapping, "a mapping"),
    ((list, tuple), "a list"),
    (type(None), "nothing"),
)

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Oddity:
    """Something that YAML takes otherwise than a reader does.

    Attributes:
        path: the keys and list indices that lead to it, each as it is written.
        line: its line, from 1.
        column: its column, from 1.
        wrong: what is wrong.
        right: what would be right.
    """

    path: tuple[str, ...]
    line: int
    column: int
    wrong: str
    right: str


def kind(value: object) -> str:
    """Return what a value is, in a reader's words."""
    return next((words for types, words in _KINDS if isinstance(value, types)), "an encrypted text")


def refers_to_itself(text: str) -> bool:
    """Tell whether a YAML text has an alias inside the very thing that it names."""
    if "&" not in text or "*" not in text:
        return False
    try:
        return _loops(yaml.compose(text, Loader=Loader), ())
    except yaml.YAMLError:
        return False  # reported by who reads it


def oddities(text: str) -> Iterator[Oddity]:
    """Yield what a YAML text says twice, keys that are no text, and numbers in old notations."""
    try:
        document = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError:
        return
    if document is not None:
        yield from _node(document, ())


def _loops(node: Any, above: tuple[int, ...]) -> bool:
    if id(node) in above:
        return True
    inside = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        return any(_loops(part, inside) for pair in node.value for part in pair)
    return isinstance(node, yaml.SequenceNode) and any(_loops(entry, inside) for entry in node.value)


def _node(node: Any, path: tuple[str, ...]) -> Iterator[Oddity]:
    if isinstance(node, yaml.MappingNode):
        yield from _mapping(node, path)
    elif isinstance(node, yaml.SequenceNode):
        for number, entry in enumerate(node.value):
            yield from _node(entry, (*path, f"[{number}]"))
    elif node.tag in {f"{_TAG}int", f"{_TAG}float"} and (_OCTAL.fullmatch(node.value) or ":" in node.value):
        read = yaml.safe_load(node.value)
        right = "write it in quotes, or as a decimal number"
        yield _oddity(path, node, f"YAML reads {node.value} as {read}", right)


def _mapping(node: Any, path: tuple[str, ...]) -> Iterator[Oddity]:
    first: dict[tuple[str, str], int] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            yield from _node(value, path)
            continue
        if not isinstance(key, yaml.ScalarNode):
            yield _oddity(path, key, "a list or a mapping stands where a name is due", "write a text as the key")
            continue
        here = (*path, str(key.value))
        line = first.setdefault((key.tag, key.value), key.start_mark.line + 1)
        if line != key.start_mark.line + 1 or _again(node, key):
            wrong = f"is written twice, in line {line} and here; Ansible takes this one"
            yield _oddity(here, key, wrong, "keep one of them")
        if key.tag != _TEXT and key.tag.startswith(_TAG):
            read = yaml.safe_load(key.value)
            wrong = f"YAML reads this key as {kind(read)}, not as the text {key.value!r}"
            yield _oddity(here, key, wrong, "write it in quotes, or choose another name")
        yield from _node(value, here)


def _again(node: Any, key: Any) -> bool:
    """Tell whether an equal key stands before this one in the same line."""
    same = [other for other, _ in node.value if other.tag == key.tag and other.value == key.value]
    return same[0] is not key and same[0].start_mark.line == key.start_mark.line


def _oddity(path: tuple[str, ...], node: Any, wrong: str, right: str) -> Oddity:
    return Oddity(path, node.start_mark.line + 1, node.start_mark.column + 1, wrong, right)
