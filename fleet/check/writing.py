# SPDX-License-Identifier: Apache-2.0
"""Nothing stands twice in one mapping, each key is a text, and each number is what its writer sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fleet.model import written
from fleet.model.model import Fleet, owner_of
from fleet.model.problems import Place, Problem


def check(fleet: Fleet) -> Iterator[Problem]:
    """Yield what YAML takes otherwise than a reader does, in every file of the inventory."""
    owners = {file.file: owner_of(file) for file in fleet.vars_files}
    for file in dict.fromkeys([*fleet.source_files, *owners]):
        for oddity in written.oddities(fleet.loader.texts.get(file, "")):
            subject, key = (owners[file], _joined(oddity.path)) if file in owners else _in_source(file, oddity.path)
            yield Problem(Place(file, oddity.line), subject, key, oddity.wrong, oddity.right)


def _joined(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[", "[")


def _in_source(file: Path, path: tuple[str, ...]) -> tuple[str, str]:
    """Return the host or group that a path in a hosts file is about, and the key below it."""
    for number, word in enumerate(path):
        group = path[number - 1] if number else ""
        if word == "hosts" and len(path) > number + 2:
            return path[number + 1], _joined(path[number + 2 :])
        if word == "vars" and len(path) > number + 1:
            return "all" if group == "all" else f"group {group}", _joined(path[number + 1 :])
    return "-", path[-1] if path else file.name
