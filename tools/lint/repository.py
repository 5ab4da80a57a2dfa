# SPDX-License-Identifier: Apache-2.0
"""The repository as a whole: every role is proved on a host, and no secret is tracked."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.lint.finding import Finding

VAULT_HEADER = "$ANSIBLE_VAULT;"


def check(project: Path) -> Iterator[Finding]:
    """Yield roles without a real test on hosts, and tracked secrets."""
    for folder in sorted((project / "roles").glob("*/")):
        file = Path("tests", "host", f"test_{folder.name}.py")
        if not (project / file).exists():
            yield Finding(file, f"is missing; the role {folder.name} is proved on a host")
        elif not asserts((project / file).read_text()):
            yield Finding(file, "asserts nothing; a test that cannot fail is worse than none")
    yield from secrets(project, tracked(project))


def asserts(source: str) -> bool:
    """Tell whether a test file holds a test function that can fail."""
    tests = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )
    return any(
        isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant)
        for test in tests
        for node in ast.walk(test)
    )


def tracked(project: Path) -> list[Path]:
    """Return the files that git tracks; none outside a repository."""
    command = ["git", "-C", str(project), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [Path(name) for name in done.stdout.split("\0") if name]


def secrets(project: Path, files: Iterable[Path]) -> Iterator[Finding]:
    """Yield tracked files that hold a secret in plain text."""
    for file in files:
        if file.name == ".vault-password":
            yield Finding(file, "a vault password is tracked; remove it from git and encrypt everything anew")
        elif file.name == "secrets.yml" and not (project / file).read_text().startswith(VAULT_HEADER):
            yield Finding(file, "secrets in plain text are tracked; remove it from git and change the secrets")
