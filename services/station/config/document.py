# SPDX-License-Identifier: Apache-2.0
"""A YAML file as data, with the line of each key, and with a key written twice refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from station.errors import StationError

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What a file or a variable says.

    Attributes:
        where: its name in messages.
        content: plain data.
        lines: the line of each key path, for a file.
    """

    where: str
    content: Any
    lines: dict[Keys, int] = field(default_factory=dict)

    def place(self, keys: Keys) -> str:
        """Return where a key stands: its line, or that of what holds it."""
        for length in range(len(keys), -1, -1):
            if keys[:length] in self.lines:
                return f"{self.where}:{self.lines[keys[:length]]}"
        return self.where

    def as_json(self) -> str:
        """Return the content as JSON: strict validation takes tuples and decimals from there, and dates are text."""
        return json.dumps(self.content, default=str)


def read(path: Path) -> Document:
    """Return a file.

    Raises:
        StationError: it cannot be read, is no YAML, or writes a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise StationError(f"{path}: cannot be read: {reason}; name a service's file") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Keys, int] = {}
        if node is not None:
            _walk(path, node, (), lines, ())
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is damaged"
        raise StationError(f"{path}{line}: no YAML: {problem}; mend the syntax") from None
    return Document(str(path), content, lines)


def _walk(path: Path, node: yaml.Node, keys: Keys, lines: dict[Keys, int], above: tuple[int, ...]) -> None:
    if id(node) in above:
        raise StationError(f"{path}:{node.start_mark.line + 1}: an alias contains itself; write the value out")
    lines.setdefault(keys, node.start_mark.line + 1)
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _walk(path, item, (*keys, number), lines, above)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in seen:
                raise StationError(
                    f'{path}:{line}: "{name}" is written a second time, first in line {seen[name]}; keep one of them'
                )
            seen[name] = line
            lines[(*keys, name)] = line
            _walk(path, value, (*keys, name), lines, above)
