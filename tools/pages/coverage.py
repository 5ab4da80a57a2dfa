# SPDX-License-Identifier: Apache-2.0
"""The page of what is proved where: by hand from coverage.yml, with the assertions counted from the tests."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from fleet.errors import UserError
from tools.pages import markdown

SOURCE = "docs/reference/coverage.yml"
TITLES = ("Role", "Tests", "Assertions", "In containers", "In a virtual machine", "Not verified on hardware")
INTRODUCTION = """\
# Coverage

What is proved, and where. The tests of a role are one file in `tests/host`, and the same file runs on the lab's
containers and on real machines (`make verify`). A stand-in never decides a test about the thing it stands for: this
page lists that thing as not verified on hardware. Tests that need no host are in `tests/unit`, tests that break things
in `tests/integration`.
"""


@dataclass(frozen=True)
class Count:
    """Test functions and `assert` statements of one file; each runs once for each host that has the role."""

    tests: int
    assertions: int


def count(source: str) -> Count:
    """Count what a test file asserts; a helper's assertions count once."""
    nodes = list(ast.walk(ast.parse(source)))
    tests = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return Count(len(tests), sum(isinstance(node, ast.Assert) for node in nodes))


def counts(folder: Path) -> dict[str, Count]:
    """Return role -> count for the files test_<role>.py of a folder."""
    return {file.stem.removeprefix("test_"): count(file.read_text()) for file in sorted(folder.glob("test_*.py"))}


def page(stated: Mapping[str, Any], roles: Iterable[str], counted: Mapping[str, Count]) -> str:
    """Return the page.

    Args:
        stated: content of coverage.yml: `hardware`, a list of what no test has seen, and `roles`, what is verified of
            each at a place: one text, or a list of texts that take a row each.
        roles: the roles that exist.
        counted: role -> what its test file holds.

    Raises:
        UserError: coverage.yml and the roles do not name each other.
    """
    names = list(roles)
    for role in names:
        if role not in stated["roles"]:
            raise UserError(f"{SOURCE}: role {role} is missing: say what of it is verified where")
    for role in stated["roles"]:
        if role not in names:
            raise UserError(f"{SOURCE}: there is no role {role}: remove it")
    unseen = "".join(f"- **{item['what']}**: {item['why']}\n" for item in stated["hardware"])
    rows = [row for role in names for row in _rows(role, stated["roles"][role], counted.get(role, Count(0, 0)))]
    return "\n".join(
        [
            markdown.HEAD.format(source=SOURCE),
            INTRODUCTION,
            markdown.table(TITLES, rows),
            "## Not verified on hardware\n\nNo test has seen these; the first run on a real machine will.\n",
            unseen,
        ]
    )


def _rows(role: str, said: Mapping[str, str | Sequence[str]], counted: Count) -> Iterator[tuple[str, ...]]:
    if not counted.assertions:  # whatever the file says: nothing is proved without an assertion
        said = {**said, "container": "nothing yet", "virtual_machine": ""}
    texts = [said.get(place) or "-" for place in ("container", "virtual_machine", "not_verified")]
    head: tuple[str, ...] = (markdown.code(role), str(counted.tests), str(counted.assertions))
    for places in zip_longest(*([text] if isinstance(text, str) else text for text in texts), fillvalue=""):
        yield (*head, *places)
        head = ("", "", "")
