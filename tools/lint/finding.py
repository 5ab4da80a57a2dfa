# SPDX-License-Identifier: Apache-2.0
"""One breach of a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

BLOCKS = ("block", "rescue", "always")


@dataclass(frozen=True, order=True)
class Finding:
    """A file that breaks a rule.

    Attributes:
        file: path inside the project.
        what: what is wrong and what would be right.
    """

    file: Path
    what: str

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"{self.file}: {self.what}"


class _Loader(yaml.CSafeLoader):
    """Reads Ansible's own tags as plain values."""


def _inert(_loader: Any, _suffix: str, node: yaml.Node) -> Any:
    return node.value


_Loader.add_multi_constructor("!", _inert)


def read(file: Path) -> Any:
    """Return the content of a YAML file; nothing for one that is missing, empty or broken (yamllint reports that)."""
    try:
        return yaml.load(file.read_text(), Loader=_Loader)  # noqa: S506 - a safe loader with inert tags
    except (FileNotFoundError, yaml.YAMLError):
        return None


def flat(tasks: Any) -> Iterator[Mapping[str, Any]]:
    """Yield each task of a file, those inside blocks included."""
    for task in tasks or ():
        inner = [block for block in BLOCKS if block in task]
        if not inner:
            yield task
        for block in inner:
            yield from flat(task[block])
