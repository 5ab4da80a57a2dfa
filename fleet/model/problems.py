# SPDX-License-Identifier: Apache-2.0
"""What a check reports: where, for which host, which key, what is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

NAMED_HOSTS = 3


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file."""

    file: Path
    line: int = 1

    def text(self, base: Path) -> str:
        """Return `file:line`, relative to the base where the file lies below it."""
        try:
            file = self.file.resolve(strict=True)
        except (OSError, RuntimeError):  # a link that leads nowhere, or to itself, is named itself
            file = self.file.parent.resolve() / self.file.name
        return f"{file.relative_to(base) if file.is_relative_to(base) else file}:{self.line}"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend.

    Attributes:
        place: file and line that must change.
        subject: the host concerned, or `group <name>`, or `-` for the whole inventory.
        key: variable, group or file name.
        wrong: what is wrong.
        right: what would be right.
    """

    place: Place
    subject: str
    key: str
    wrong: str
    right: str

    def text(self, base: Path) -> str:
        """Return the one line that a person reads."""
        key = self.key or '""'
        words = f"{self.place.text(base)}: {self.subject}: {key}: {self.wrong}; {self.right}"
        return " ".join(words.split())


def merged(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield each problem once, sorted by place; the hosts that share one are named together."""
    subjects: dict[Problem, list[str]] = {}
    for problem in problems:
        names = subjects.setdefault(replace(problem, subject=""), [])
        if problem.subject not in names:
            names.append(problem.subject)
    for problem, names in sorted(subjects.items()):
        more = f" and {len(names) - NAMED_HOSTS} more" if len(names) > NAMED_HOSTS else ""
        yield replace(problem, subject=", ".join(names[:NAMED_HOSTS]) + more)
